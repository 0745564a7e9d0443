"""What the engine writes to a stream by itself, on real connections."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.server.direct_stream import DirectStream
from services.server.sequence import Chunk


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """The server's end as a transport, the client's as a socket whose buffer is small."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.set_result(transport)

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        transport = await accepted
        try:
            yield transport, client
        finally:
            transport.abort()
            server.close()
            await server.wait_closed()


def line(chunk: Chunk) -> bytes:
    return chunk.text.encode()


def words(count: int) -> list[Chunk]:
    return [Chunk(f"<{number}>" + "x" * 2000, [number]) for number in range(count)]


async def received(client: socket.socket, size: int) -> bytes:
    loop, parts = asyncio.get_running_loop(), b""
    while len(parts) < size:
        parts += await loop.sock_recv(client, 1 << 16)
    return parts


def framed(chunk: Chunk) -> bytes:
    return b"%x\r\n%b\r\n" % (len(line(chunk)), line(chunk))


async def test_the_engine_writes_only_when_all_that_was_handed_over_is_out() -> None:
    first, second, third = words(3)
    async with connection() as (transport, client):
        direct = DirectStream(transport, line)
        assert not direct(first, 0)
        transport.write(direct.lines([first]))
        direct.given(1)
        # A second one was handed over and has not been written yet.
        assert not direct(third, 2)
        transport.write(direct.lines([second]))
        direct.given(1)
        assert direct(third, 2)
        direct.close()
        expected = line(first) + line(second) + framed(third)
        assert await received(client, len(expected)) == expected
        assert not direct(third, 2)


async def test_a_client_that_does_not_keep_up_gets_every_byte_in_order() -> None:
    chunks = words(4000)
    async with connection() as (transport, client):
        direct = DirectStream(transport, line)
        transport.write(direct.lines(chunks[:1]))
        direct.given(1)
        handed_over, left = 1, []
        for chunk in chunks[1:]:
            if not direct(chunk, handed_over):
                handed_over += 1
                left.append(chunk)
        assert 0 < len(left) < len(chunks) - 1, "the socket's buffer was never full"
        transport.write(direct.lines(left))
        direct.close()
        written = len(chunks) - len(left)
        expected = line(chunks[0]) + b"".join(map(framed, chunks[1 : written + 1]))
        expected += b"".join(map(line, chunks[written + 1 :]))
        assert await received(client, len(expected)) == expected


async def test_an_event_that_was_begun_is_whole_before_anything_else_is_said() -> None:
    """As where the engine fails right after it."""
    chunks = words(4000)
    async with connection() as (transport, client):
        direct = DirectStream(transport, line)
        direct.given(1)
        begun = next(index for index, chunk in enumerate(chunks) if not direct(chunk, 1))
        direct.close()
        expected = b"".join(map(framed, chunks[: begun + 1]))
        assert await received(client, len(expected)) == expected


async def test_to_a_client_that_has_gone_nothing_is_written() -> None:
    async with connection() as (transport, client):
        direct = DirectStream(transport, line)
        direct.given(1)
        client.close()
        await asyncio.sleep(0.05)
        chunk = words(1)[0]
        assert not all(direct(chunk, 1) for _ in range(3))
