"""Clients that live through faults: every request ends in an ``Outcome``, none in an exception."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deploy.client_key import bearer
from loadtest.job import KEY_VARIABLE
from loadtest.sse import SseParser
from tests.benches.fault.outcomes import Ending, Outcome, stream_ending, whole_ending

# Longer than any answer takes on two busy cores: who waits that long waits for nothing.
HUNG_S = 60.0
PROMPT = "The capital of"


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session that opens a connection per request, as clients of their own would."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    headers = bearer(os.environ.get(KEY_VARIABLE, ""))
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        yield session


class Client:
    """One client of a variant; ``base`` is the URL that ends before ``/v1``."""

    def __init__(self, session: aiohttp.ClientSession, base: str, variant: str) -> None:
        self.events = 0
        self.began = asyncio.Event()
        self._session = session
        self._url = f"{base}/v1/completions"
        self._variant = variant

    async def complete(self, max_tokens: int = 1) -> Outcome:
        """Ask for a whole answer."""
        return await self._ask({"max_tokens": max_tokens})

    async def stream(self, max_tokens: int, **fields: Any) -> Outcome:
        """Ask for a stream of exactly so many tokens; ``began`` is set by its first event."""
        return await self._ask(
            {"max_tokens": max_tokens, "ignore_eos": True, "stream": True, **fields}
        )

    async def _ask(self, fields: dict[str, Any]) -> Outcome:
        sent_s = time.monotonic()
        ending: Ending
        try:
            async with asyncio.timeout(HUNG_S):
                ending, detail = await self._exchange(fields)
        except TimeoutError:
            ending, detail = "hung", f"no end after {HUNG_S:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            ending, detail = "broken", repr(error)
        return Outcome(ending=ending, detail=detail, sent_s=sent_s, end_s=time.monotonic())

    async def _exchange(self, fields: dict[str, Any]) -> tuple[Ending, str]:
        body = {"model": self._variant, "prompt": PROMPT, "temperature": 0, **fields}
        async with self._session.post(self._url, json=body) as response:
            if response.status != 200 or not fields.get("stream"):
                return whole_ending(response.status, await response.read())
            parser, events = SseParser(), list[bytes]()
            async for part in response.content.iter_any():
                events += parser.feed(part)
                self.events = len(events)
                if events:
                    self.began.set()
            return stream_ending(events)
