"""A load generator that costs next to nothing: raw bytes in, timed, and read only afterwards.

A model that decodes a token in 0.7 ms leaves a client on the same machine no time for JSON. Answers
are kept as bytes until the clock has stopped; ``received.py`` says what is in them. Every request
expects a body in its answer, so ``HEAD`` is none for it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping

from tests.benches.harness.received import HEAD_END, Received

_CHUNKS_END = b"\r\n0\r\n\r\n"
CONNECT_TIMEOUT_S = 10.0


class ClientError(RuntimeError):
    """A server did not answer, or broke off."""


class _Connection(asyncio.Protocol):
    """One connection, kept alive where the server does: a request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Received] | None = None
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._times: list[float] = []
        self._started_s = self._first_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, on_first: Callable[[bytes], None]) -> asyncio.Future[Received]:
        """Send a request; the future is its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._on_first = on_first
        self._parts, self._times = [], []
        self._tail = b""
        self._left: int | None = None
        self._first_s = 0.0
        self._chunked = self._closes = False
        self._started_s = time.perf_counter()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._parts.append(data)
        self._times.append(now)
        if not self._first_s:
            head, end, body = b"".join(self._parts).partition(HEAD_END)
            if not end or not (body or _length(head) == 0):
                return
            self._begin(head, body, now)
            data = body
        if self._left is not None:
            self._left -= len(data)
            ends = self._left <= 0
        else:
            self._tail = (self._tail + data)[-len(_CHUNKS_END) :]
            ends = self._tail == _CHUNKS_END and self._chunked
        if ends:
            self._end(now)

    def _begin(self, head: bytes, body: bytes, now: float) -> None:
        """The head is whole, and the first bytes after it are there."""
        self._first_s, self._left = now, _length(head)
        lower = head.lower()
        self._chunked = b"\r\ntransfer-encoding: chunked" in lower
        self._closes = b"\r\nconnection: close" in lower
        self._tail = b"\r\n"
        self._on_first(head + HEAD_END + body)

    def _end(self, now: float) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self.so_far(now))
        if self._closes:
            self.close()

    def so_far(self, now: float) -> Received:
        """What has been received of the answer."""
        return Received(
            raw=b"".join(self._parts),
            started_s=self._started_s,
            first_s=self._first_s,
            ended_s=now,
            pieces=tuple(zip(self._times, map(len, self._parts), strict=True)),
        )

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is None or self._answer.done():
            return
        if error is None and self._first_s and self._left is None and not self._chunked:
            # An answer without a length ends with its connection.
            self._answer.set_result(self.so_far(time.perf_counter()))
        else:
            cause = f" ({error!r})" if error else ""
            self._answer.set_exception(ClientError(f"the server closed the connection{cause}"))

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def has_begun(self) -> bool:
        """Whether any part of the last answer has come."""
        return bool(self._parts)

    def close(self) -> None:
        """End the connection; what was not sent or read yet is dropped."""
        if self._transport is not None:
            self._transport.abort()


def _length(head: bytes) -> int | None:
    """The body's length; None where it comes in chunks, or ends with the connection."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None


class RawClient:
    """One user of a server: asks one thing after another, and connects anew where it must."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, patient: bool = False) -> None:
        """``patient``: asks once more where the server closed a kept connection unasked.

        Some servers end a connection after an answer without saying so in its head.
        """
        self._address = (host, port)
        self._connection: _Connection | None = None
        self._patient = patient

    async def open(self) -> bool:
        """Connect where no connection is open, and whether one was.

        Raises:
            ClientError: nobody listens.
        """
        if self._connection is not None and self._connection.is_open:
            return True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, self._connection = await loop.create_connection(_Connection, *self._address)
        except OSError as error:
            raise ClientError(str(error) or repr(error)) from None
        return False

    async def ask(
        self, request: bytes, on_first: Callable[[bytes], None] = lambda _: None
    ) -> Received:
        """One answer; ``on_first`` is given its head with the first bytes of its body.

        Whoever cancels this leaves the server's connection to ``leave``.

        Raises:
            ClientError: nobody listens, or the connection was closed before the answer's end.
        """
        kept = await self.open()
        assert self._connection is not None
        try:
            return await self._connection.ask(request, on_first)
        except ClientError:
            if not (kept and self._patient) or self._connection.has_begun:
                raise
        return await self.ask(request, on_first)

    def leave(self) -> Received | None:
        """Close the connection as a client does that goes away; what came of its last answer."""
        connection, self._connection = self._connection, None
        if connection is None:
            return None
        connection.close()
        return connection.so_far(time.perf_counter())


def request(method: str, path: str, content: bytes, *, key: str = "") -> bytes:
    """A whole HTTP request with a body of JSON."""
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def post(path: str, key: str, body: Mapping[str, object]) -> bytes:
    """A question as a whole HTTP request."""
    return request("POST", path, json.dumps(body, separators=(",", ":")).encode(), key=key)


def closed_loop(
    port: int,
    requests: Iterable[bytes],
    concurrency: int,
    timeout_s: float,
    *,
    patient: bool = False,
) -> list[Received]:
    """Send all requests, ``concurrency`` at a time, each when another is answered.

    ``patient`` as ``RawClient`` has it.

    Raises:
        ClientError: a connection broke, or it took longer than ``timeout_s``.
    """
    try:
        asking = ask_all(port, requests, concurrency, patient=patient)
        return asyncio.run(asyncio.wait_for(asking, timeout_s))
    except TimeoutError:
        raise ClientError(f"not answered within {timeout_s:.0f} s") from None


async def ask_all(
    port: int, requests: Iterable[bytes], concurrency: int, *, patient: bool = False
) -> list[Received]:
    """The same in a running loop and for as long as it takes; requests may be made as they go.

    A user who is answered an error asks nothing more.

    Raises:
        ClientError: a connection broke.
    """
    left = iter(requests)
    clients = [RawClient(port, patient=patient) for _ in range(concurrency)]

    async def work(client: RawClient) -> list[Received]:
        found = []
        for request in left:
            found.append(await client.ask(request))
            if found[-1].status != 200:
                break
        return found

    try:
        for client in clients:
            await client.open()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(client)) for client in clients]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for client in clients:
            client.leave()
    return [received for task in tasks for received in task.result()]
