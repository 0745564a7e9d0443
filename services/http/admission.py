"""How many requests a variant, or the gateway, holds open at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.http.errors import RequestError

POLL_S = 0.05


class Admission:
    """A bounded door: ``limit`` requests at once."""

    def __init__(self, name: str, limit: int) -> None:
        self.in_flight = 0
        self._name = name
        self._limit = limit

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            RequestError: 429 when every place is taken.
        """
        if self.in_flight >= self._limit:
            message = f"{self._name}: {self.in_flight} requests are in flight already"
            raise RequestError(429, message)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def until_empty(self, timeout_s: float) -> int:
        """Wait for what is open to finish; returns how many requests were left at the end."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self.in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_S)
        return self.in_flight
