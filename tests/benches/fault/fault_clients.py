"""Clients that live through faults: every request ends in an ``Outcome``, none in an exception."""

import asyncio
import time
from typing import Any

from tests.benches.fault.outcomes import Ending, Outcome, stream_ending, whole_ending
from tests.benches.harness.raw_client import ClientError, RawClient, post
from tests.benches.harness.received import Received

# Longer than any answer takes on two busy cores: who waits that long waits for nothing.
HUNG_S = 60.0
PROMPT = "The capital of"


class Client:
    """One client of a variant; ``prefix`` is the path before ``/v1``.

    Every request has a connection of its own, as clients of their own would.
    """

    def __init__(self, host: str, port: int, prefix: str, variant: str) -> None:
        self.began = asyncio.Event()
        self._address = (port, host)
        self._path = f"{prefix}/v1/completions"
        self._variant = variant

    async def complete(self, max_tokens: int = 1) -> Outcome:
        """Ask for a whole answer."""
        return await self._ask({"max_tokens": max_tokens})

    async def stream(self, max_tokens: int) -> Outcome:
        """Ask for a stream of exactly so many tokens; ``began`` is set by its first bytes."""
        return await self._ask({"max_tokens": max_tokens, "ignore_eos": True, "stream": True})

    async def _ask(self, fields: dict[str, Any]) -> Outcome:
        body = {"model": self._variant, "prompt": PROMPT, "temperature": 0, **fields}
        user, sent_s = RawClient(*self._address), time.monotonic()
        ending: Ending
        try:
            async with asyncio.timeout(HUNG_S):
                received = await user.ask(post(self._path, "", body), self._begin)
            ending, detail = _ending(received, streamed="stream" in fields)
        except TimeoutError:
            ending, detail = "hung", f"no end after {HUNG_S:.0f} s"
        except ClientError as error:
            ending, detail = "broken", str(error)
        finally:
            user.leave()
        return Outcome(ending=ending, detail=detail, sent_s=sent_s, end_s=time.monotonic())

    def _begin(self, first: bytes) -> None:
        if first.split(b" ", 2)[1] == b"200":
            self.began.set()


def _ending(received: Received, *, streamed: bool) -> tuple[Ending, str]:
    if received.status != 200 or not streamed:
        return whole_ending(received.status, received.content)
    return stream_ending(received.events)
