"""The raw client against real servers in this process's machine."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from loadtest.null_server import null_server
from tests.benches.harness.raw_client import ClientError, RawClient, closed_loop, post, request

BODY = {"prompt": [1, 2], "max_tokens": 5, "stream": True}


def test_every_request_is_answered_over_as_many_connections_as_are_open() -> None:
    with null_server(ttft_s=0.001, tpot_s=0) as port:
        answers = closed_loop(port, [post("/x", "k", BODY)] * 20, 4, 20)
    assert len(answers) == 20
    assert all(answer.content.endswith(b"[DONE]\n\n") for answer in answers)
    assert all(len(answer.event_times) == len(answer.events) == 5 + 2 for answer in answers)
    assert all(answer.started_s < answer.first_s <= answer.ended_s for answer in answers)
    begun = sorted(answer.started_s for answer in answers)
    assert begun[4] >= min(answer.ended_s for answer in answers)


@pytest.fixture
def scripted_port() -> Iterator[int]:
    """A server that writes an answer of known length byte by byte, then closes the connection."""
    ready, ports = threading.Event(), []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1 << 16)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.read(1 << 16)
        writer.close()

    async def serve(stop: asyncio.Event) -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(stop),))
    thread.start()
    ready.wait(10)
    yield ports[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_a_body_of_known_length_ends_there_however_it_is_cut(scripted_port: int) -> None:
    (answer,) = closed_loop(scripted_port, [post("/x", "k", BODY)], 1, 10)
    assert answer.raw.endswith(b"\r\n\r\nabc")


async def test_a_user_connects_anew_after_an_answer_that_ends_with_its_connection() -> None:
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = (b"", b"Connection: close\r\nContent-Length: 2\r\n")[len(asked) % 2]
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nab")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        user = RawClient(server.sockets[0].getsockname()[1])
        answers = [await user.ask(post("/x", "k", BODY)) for _ in range(4)]
        user.leave()
    assert [answer.content for answer in answers] == [b"ab"] * 4
    assert len(asked) == 4


@pytest.mark.parametrize("patient", [True, False])
async def test_only_a_patient_user_asks_again_where_a_kept_connection_was_closed_unasked(
    patient: bool,
) -> None:
    ended = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
        await reader.read(1)
        writer.close()
        ended.release()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        user = RawClient(server.sockets[0].getsockname()[1], patient=patient)
        question = request("GET", "/x", b"")
        assert (await user.ask(question)).content == b"ab"
        if patient:
            assert (await user.ask(question)).content == b"ab"
        else:
            with pytest.raises(ClientError, match="closed the connection"):
                await user.ask(question)
        user.leave()
        for _ in range(1 + patient):
            await ended.acquire()


async def test_a_user_that_leaves_takes_along_what_had_come() -> None:
    with null_server(ttft_s=0.001, tpot_s=60) as port:
        user, begun = RawClient(port), asyncio.Event()
        asking = asyncio.create_task(user.ask(post("/x", "k", BODY), lambda _: begun.set()))
        await asyncio.wait_for(begun.wait(), 10)
        asking.cancel()
        left = user.leave()
        assert left is not None
        assert (left.status, len(left.events)) == (200, 1)
        assert user.leave() is None


def test_a_connection_that_is_closed_in_place_of_an_answer_is_an_error(scripted_port: int) -> None:
    with pytest.raises(ClientError, match="closed the connection"):
        closed_loop(scripted_port, [post("/x", "k", BODY)] * 2, 1, 10)


def test_a_server_that_does_not_answer_or_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ClientError, match="not answered within"):
            closed_loop(port, [post("/x", "k", BODY)], 1, 0.2)
    with pytest.raises(ClientError, match="Connect call failed"):
        closed_loop(port, [post("/x", "k", BODY)], 1, 5)
