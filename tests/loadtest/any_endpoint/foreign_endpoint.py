"""An endpoint as others run them: chats or completions, with and without what OpenAI's has.

A stand-in for servers that cannot be had here; it writes words on no schedule.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loadtest.null_server import (
    NullServer,
    answer,
    begin_stream,
    end_stream,
    headers_of,
    route_of,
    write_chunk,
    write_event,
)

Writer = asyncio.StreamWriter


@dataclass(kw_only=True)
class Habits:
    """What it is like; ``refuses`` are fields that it calls unknown, ``vague``: without a name.

    ``counts`` is what its usage says whatever it wrote.
    """

    key: str = ""
    models: tuple[str, ...] | None = ("their-model",)
    apis: tuple[str, ...] = ("completions", "chat")
    refuses: tuple[str, ...] = ()
    vague: bool = False
    usage: bool = True
    ends_early: bool = False
    streams: bool = True
    busy: bool = False
    fails_every_other: bool = False
    counts: int | None = None
    hangs_s: float = 0.0
    has_pages: bool = False


@dataclass
class ForeignEndpoint(NullServer):
    """``asked`` keeps the bodies of what it answered."""

    habits: Habits
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def respond(self, head: bytes, body: Any, writer: Writer) -> None:
        """Answer one request."""
        how, route = self.habits, route_of(head).removeprefix("/v1/")
        if how.key and headers_of(head).get("authorization") != f"Bearer {how.key}":
            return await refuse(writer, 401, "no such key")
        if how.has_pages and route == "models":
            return await page(writer)
        if route == "models" and how.models is not None:
            return await answer(writer, 200, {"data": [{"id": name} for name in how.models]})
        api = {"completions": "completions", "chat/completions": "chat"}.get(route)
        if api not in how.apis:
            return await refuse(writer, 404, "no such route")
        if how.busy:
            return await refuse(writer, 429, "slow down")
        for unknown in how.refuses:
            if unknown in body:
                said = "a wrong argument" if how.vague else f"unknown field: {unknown}"
                return await refuse(writer, 400, said)
        self.asked.append(body)
        await asyncio.sleep(how.hangs_s)
        if how.fails_every_other and len(self.asked) % 2:
            return await refuse(writer, 500, "oops")
        if not how.streams:
            return await answer(writer, 200, {"choices": [{"text": "all at once"}]})
        return await self._write(api, body, writer)

    async def _write(self, api: str, body: Any, writer: Writer) -> None:
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        tokens = limit // 2 if self.habits.ends_early or "ignore_eos" not in body else limit
        begin_stream(writer)
        if api == "chat":
            write_event(writer, {"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
        for _ in range(tokens):
            said = {"delta": {"content": "a "}} if api == "chat" else {"text": "a "}
            write_event(writer, {"choices": [{"index": 0, "finish_reason": None, **said}]})
            await writer.drain()
            await asyncio.sleep(0.001)
        if self.habits.usage and "stream_options" in body:
            told = tokens if self.habits.counts is None else self.habits.counts
            usage = {"prompt_tokens": 9, "completion_tokens": told}
            write_event(writer, {"choices": [], "usage": usage})
        write_chunk(writer, b"data: [DONE]\n\n")
        await end_stream(writer)


async def page(writer: Writer) -> None:
    """What a web server answers to everything."""
    text = b"<html>hello</html>"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(text)}\r\n\r\n"
    writer.write(head.encode() + text)
    await writer.drain()


async def refuse(writer: Writer, status: int, why: str) -> None:
    """OpenAI's error."""
    await answer(writer, status, {"error": {"message": why}})


@contextmanager
def foreign_endpoint(**habits: Any) -> Iterator[ForeignEndpoint]:
    """One on a free port, in a thread of its own, until the block ends."""
    endpoint = ForeignEndpoint(Habits(**habits))
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(endpoint.handle, "127.0.0.1", 0) as server:
            endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            ready.set()
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
