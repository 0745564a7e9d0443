"""Raw cases against a real small HTTP server, and the parser of what comes back."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from services.engine.child import free_port
from tests.benches.fuzz import wire_abuse, wire_requests
from tests.benches.fuzz.sockets import answers_of, send_case
from tests.benches.fuzz.wire import Draw, WireCase

TWO = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" * 2
CHUNKED = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"


def draw(seed: int = 0) -> Draw:
    return Draw(variants=("v", "w"), rng=random.Random(seed))


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"method": request.method}, headers={"x-request-id": "r"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


def test_the_same_seed_draws_the_same_cases() -> None:
    for kind in (*wire_requests.KINDS, *wire_abuse.KINDS):
        assert kind(draw()) == kind(draw())


def test_every_answer_in_the_received_bytes_is_parsed_in_order() -> None:
    assert [status for status, _, _ in answers_of(TWO, "GET", 5)] == [200, 200]
    assert [body for _, _, body in answers_of(TWO + CHUNKED, "GET", 5)] == [b"hi", b"hi", b"hi"]
    assert answers_of(b"", "GET", 1) == []
    assert answers_of(b"not HTTP at all", "GET", 1) == []
    assert len(answers_of(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", 1)) == 1


async def test_what_is_sent_by_the_book_is_answered_as_often_as_it_asks() -> None:
    async with server() as port:
        for kind in (wire_requests.pipelined, wire_requests.dripped, wire_requests.chunked):
            case = kind(draw())
            found = await send_case(case, "127.0.0.1", port)
            assert [exchange.status for exchange in found] == [200] * case.answers
            assert all(exchange.headers["x-request-id"] == "r" for exchange in found)


async def test_a_missing_answer_is_an_exchange_without_a_status() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    port = free_port()
    async with await asyncio.start_server(close, "127.0.0.1", port):
        case = WireCase(name="n", method="GET", path="/", parts=(b"GET / HTTP/1.1\r\n\r\n",))
        (found,) = await send_case(case, "127.0.0.1", port)
    assert (found.status, found.is_http) == (0, True)
    assert found.broke


async def test_a_client_that_leaves_waits_for_nothing() -> None:
    async with server() as port:
        found = await send_case(wire_abuse.leaves(draw()), "127.0.0.1", port)
    assert [exchange.status for exchange in found] == [0]
    assert found[0].broke == "the connection was closed"


async def test_a_connection_that_stays_open_is_left_after_its_answer() -> None:
    kinds = (wire_requests.old_http(draw(seed)) for seed in range(20))
    case = next(case for case in kinds if case.keeps_alive)
    async with server() as port:
        (found,) = await asyncio.wait_for(send_case(case, "127.0.0.1", port), timeout=10)
    assert (found.status, found.broke) == (200, None)
