"""The relay hands on bytes as they are, and lets nothing hang or leak."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from services.engine.child import free_port
from services.http.asgi import request_id, send_error
from services.http.errors import RequestError
from services.http.relay import IDLE_S, Relay, open_session
from tests.fake_engine import CHUNKS, Engine, FakeEngine

KEY = "key"
HEADERS = {"authorization": f"Bearer {KEY}"}
Message = MutableMapping[str, Any]


@asynccontextmanager
async def engine() -> AsyncIterator[str]:
    fake = FakeEngine(engine=Engine(key=KEY))
    async with await asyncio.start_server(fake.handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Client:
    """The ASGI side: what it was sent, and when it leaves."""

    def __init__(self, *headers: tuple[bytes, bytes], leaves_after: int | None = None) -> None:
        self.scope: Message = {"method": "POST", "headers": list(headers), "query_string": b""}
        self.messages: list[Message] = []
        self._leaves_after = leaves_after
        self._left = asyncio.Event()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        if self._leaves_after is not None and len(self.messages) > self._leaves_after:
            self._left.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


async def forward(
    client: Client, url: str, body: bytes, timeout_s: float = 20, waited_s: float = 0.0
) -> int:
    async with aiohttp.ClientSession() as session:
        return await Relay(session, timeout_s).forward(
            client.scope,
            client.receive,
            client.send,
            url=url,
            body=body,
            headers=HEADERS,
            waited_s=waited_s,
        )


async def test_a_stream_arrives_byte_for_byte() -> None:
    async with engine() as url:
        client = Client()
        status = await forward(client, f"{url}/v1/completions", b'{"stream": true}')
    assert status == 200
    assert client.body == b"".join(CHUNKS)
    start = dict(client.messages[0]["headers"])
    assert start[b"content-type"] == b"text/event-stream"


async def test_a_stream_that_breaks_off_ends_in_an_error_event_and_no_done() -> None:
    async with engine() as url:
        client = Client()
        status = await forward(client, f"{url}/v1/completions", b'{"stream": true, "breaks": true}')
    assert status == 502
    whole, error, rest = client.body.split(b"\n\n")
    assert whole == b'data: {"n": 0}'
    assert json.loads(error.removeprefix(b"data: "))["error"]["type"] == "engine_error"
    assert rest == b""
    assert not client.messages[-1].get("more_body", False)


async def test_a_stream_that_begins_with_an_error_is_a_refusal_and_no_stream() -> None:
    async with engine() as url:
        client = Client()
        with pytest.raises(RequestError, match="no") as caught:
            await forward(client, f"{url}/v1/completions", b'{"stream": true, "refuses": true}')
    assert caught.value.status == 400
    assert client.messages == []


async def test_an_engines_refusal_is_told_as_ours_are() -> None:
    async with engine() as url:
        with pytest.raises(RequestError, match="no such route") as caught:
            await forward(Client(), f"{url}/v1/nothing", b"{}")
    assert (caught.value.status, caught.value.code) == (404, "unknown_url")


async def test_a_stream_that_stalls_ends_in_a_timeout_event() -> None:
    async with engine() as url:
        client = Client()
        body = b'{"stream": true, "forever": true}'
        assert await forward(client, f"{url}/v1/completions", body, timeout_s=0.2) == 504
    assert b'"type": "timeout_error"' in client.body.split(b"\n\n")[-2]


async def test_what_was_waited_for_the_engine_is_a_part_of_the_time_of_the_whole_request() -> None:
    async with engine() as url, asyncio.timeout(5):
        client = Client()
        body = b'{"stream": true, "forever": true}'
        target = f"{url}/v1/completions"
        assert await forward(client, target, body, timeout_s=300, waited_s=299.8) == 504
    assert b"did not answer in the 0 s that were left when it was awake" in client.body


# The head, the first of three chunks, and the end.
@pytest.mark.parametrize("stuck_at", [1, 2, 5])
async def test_a_client_that_reads_nothing_is_let_go_when_its_time_is_over(stuck_at: int) -> None:
    class Stuck(Client):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if len(self.messages) == stuck_at:
                await asyncio.Event().wait()

    async with engine() as url, asyncio.timeout(20):
        client = Stuck()
        with pytest.raises(ConnectionResetError):
            await forward(client, f"{url}/v1/completions", b'{"stream": true}', timeout_s=0.3)
    assert len(client.messages) == stuck_at


async def test_the_clients_key_stays_outside_and_its_request_id_goes_in() -> None:
    async with engine() as url:
        client = Client(
            (b"authorization", b"Bearer theirs"), (b"x-request-id", b"abc"), (b"origin", b"page")
        )
        await forward(client, f"{url}/v1/completions", b'{"echo_headers": true}')
    assert b"theirs" not in client.body
    assert "origin" not in json.loads(client.body)
    assert json.loads(client.body)["x-request-id"] == "abc"


async def test_a_body_that_has_been_read_is_sent_without_asking_first() -> None:
    async with engine() as url:
        client = Client((b"expect", b"100-continue"), (b"x-else", b"kept"))
        await forward(client, f"{url}/v1/completions", b'{"echo_headers": true}')
    told = json.loads(client.body)
    assert "expect" not in told
    assert told["x-else"] == "kept"


async def test_a_client_that_leaves_cancels_its_request_upstream() -> None:
    async with engine() as url, aiohttp.ClientSession() as session:
        client = Client(leaves_after=3)
        body = b'{"stream": true, "forever": true}'
        assert await forward(client, f"{url}/v1/completions", body) == 499
        for _attempt in range(100):
            async with session.get(f"{url}/cancelled") as answer:
                if (await answer.json())["count"] == 1:
                    return
            await asyncio.sleep(0.02)
    pytest.fail("the engine still streams to a client that left")


async def test_an_engine_that_is_gone_is_a_502() -> None:
    with pytest.raises(RequestError) as caught:
        await forward(Client(), f"http://127.0.0.1:{free_port()}/v1/completions", b"{}")
    assert caught.value.status == 502


async def test_an_engine_that_does_not_answer_in_time_is_a_504() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(RequestError) as caught:
        await forward(Client(), f"http://127.0.0.1:{port}/", b"{}", timeout_s=0.2)
    assert caught.value.status == 504
    server.close()


async def test_errors_are_openai_json_and_say_when_to_come_back() -> None:
    client = Client()
    await send_error(client.send, RequestError(429, "full", param="model"))
    headers = dict(client.messages[0]["headers"])
    assert headers[b"retry-after"] == b"1"
    assert int(headers[b"content-length"]) == len(client.body)
    assert b'"type": "rate_limit_error"' in client.body
    assert b'"param": "model"' in client.body


def test_a_request_without_an_id_gets_one() -> None:
    assert request_id({"headers": []}).startswith("req-")


async def test_an_idle_connection_is_given_up_before_the_engine_gives_it_up() -> None:
    async with engine() as url, open_session() as session:
        assert session.connector is not None
        client = Client()
        await Relay(session, timeout_s=20).forward(
            client.scope,
            client.receive,
            client.send,
            url=f"{url}/v1/completions",
            body=b'{"model": "some-variant", "prompt": "x", "max_tokens": 1}',
            headers=HEADERS,
        )
        assert session.connector._conns
        # The connector looks for idle ones this often.
        await asyncio.sleep(2 * IDLE_S + 0.5)
        assert not session.connector._conns
