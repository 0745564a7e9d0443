"""Sends a case's bytes over a socket of its own, and reads the answers that come."""

import asyncio
import contextlib
import http.client
import io
import socket
import struct
import time

from tests.benches.fuzz.exchange import Exchange
from tests.benches.fuzz.wire import WireCase

ANSWER_TIMEOUT_S = 60.0
# What is no request may be left waiting for its rest: that long is watched, then we leave.
HARMLESS_TIMEOUT_S = 1.0
DRIP_S = 0.002
# SO_LINGER of no time: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


class _Received:
    """Bytes in the place of a socket, for http.client's parser of answers."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream

    def makefile(self, *_: object) -> io.BufferedReader:
        """A reader that leaves the stream where one answer ends."""
        return _Unclosed(self._stream)  # type: ignore[return-value]


class _Unclosed(io.BytesIO):
    """Reads through to the shared stream; closing it closes nothing."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__()
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        return self._stream.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._stream.readline(size)

    def readinto(self, buffer: object, /) -> int:
        return self._stream.readinto(buffer)  # type: ignore[arg-type]

    def flush(self) -> None:
        """Nothing is written."""


def answers_of(received: bytes, method: str, most: int) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of every whole answer in what was received, in order."""
    stream = io.BytesIO(received)
    found: list[tuple[int, dict[str, str], bytes]] = []
    while len(found) < most and stream.tell() < len(received):
        answer = http.client.HTTPResponse(_Received(stream), method=method)  # type: ignore[arg-type]
        try:
            answer.begin()
            body = answer.read()
        except (http.client.HTTPException, ValueError):
            break
        headers = {name.lower(): value for name, value in answer.getheaders()}
        found.append((answer.status, headers, body))
    return found


def _has_all(case: WireCase, received: bytes) -> bool:
    """Whether every answer due has come whole; one that ends with the connection never has."""
    found = answers_of(received, case.method, case.answers)
    framed = [
        "content-length" in headers or "transfer-encoding" in headers for _, headers, _ in found
    ]
    return len(found) == case.answers and all(framed)


async def send_case(case: WireCase, host: str, port: int) -> list[Exchange]:
    """Send one case and judge nothing: one exchange per answer that came or was due."""
    began = time.monotonic()
    received, broke = b"", "the connection was closed"
    timeout_s = ANSWER_TIMEOUT_S if case.is_http else HARMLESS_TIMEOUT_S
    try:
        received = await _talk(case, host, port, timeout_s)
    except TimeoutError as error:
        received = error.args[0] if error.args else b""
        broke = f"nothing came for {timeout_s:.0f} s"
    except OSError as error:
        broke = repr(error)
    found = answers_of(received, case.method, max(1, case.answers))
    missing = case.answers - len(found) if case.is_http else not found
    seconds = time.monotonic() - began

    def exchange(status: int, headers: dict[str, str], body: bytes) -> Exchange:
        return Exchange(
            source="wire",
            case=case.name,
            method=case.method,
            path=case.path,
            status=status,
            headers=headers,
            body=body,
            seconds=seconds,
            is_http=case.is_http,
            broke=None if status else broke,
        )

    return [*(exchange(*answer) for answer in found), *[exchange(0, {}, b"")] * int(missing)]


async def _talk(case: WireCase, host: str, port: int, timeout_s: float) -> bytes:
    """Send the parts and read to the end (where the connection may stay open, to the last answer
    due); raises TimeoutError with what had come by then.
    """
    reader, writer = await asyncio.open_connection(host, port)
    parts: list[bytes] = []
    try:
        for place, part in enumerate(case.parts):
            if place:
                await asyncio.sleep(DRIP_S)
            writer.write(part)
            await writer.drain()
        if case.abort:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return b""
        if case.half_close:
            writer.write_eof()
        try:
            async with asyncio.timeout(timeout_s):
                while part := await reader.read(1 << 16):
                    parts.append(part)
                    if case.keeps_alive and _has_all(case, b"".join(parts)):
                        break
        except TimeoutError:
            raise TimeoutError(b"".join(parts)) from None
        except ConnectionError:
            # A refusal before the whole request was read ends in a reset; what came counts.
            pass
        return b"".join(parts)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
