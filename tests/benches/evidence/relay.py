"""A server between a client and an engine that changes what is asked or answered, as a defect does.

It listens on a free port of this machine in a thread of its own, and sends the engine's key.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

Json = dict[str, Any]
Change = Callable[[Json], Json]
_MOST_BYTES = 64 << 20
_TIMEOUT_S = 300.0


def same(content: Json) -> Json:
    """Nothing is changed."""
    return content


@dataclass(frozen=True, kw_only=True)
class Relay:
    """What of a completion's body and of its answer is changed on the way."""

    url: str
    headers: Mapping[str, str]
    asked: Change = same
    answered: Change = same

    async def handle(self, request: web.Request) -> web.Response:
        """One request, passed on and answered."""
        body = self.asked(await request.json())
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=self.headers) as session,
            session.post(f"{self.url}{request.path}", json=body) as answer,
        ):
            content = await answer.read()
        if answer.status == web.HTTPOk.status_code:
            content = json.dumps(self.answered(json.loads(content))).encode()
        return web.Response(body=content, status=answer.status, content_type="application/json")


@contextmanager
def listening(relay: Relay) -> Iterator[str]:
    """The relay's address, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay")
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_started(relay), loop).result()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _started(relay: Relay) -> web.AppRunner:
    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/v1/completions", relay.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
