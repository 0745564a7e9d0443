"""The door is bounded, and tells when nobody is left.

covers: services/http/errors.py
"""

import asyncio

import pytest

from services.http.admission import Admission
from services.http.errors import RequestError


def test_a_request_more_than_there_are_places_is_a_429_that_says_when_to_come_back() -> None:
    door = Admission("some-variant", 1)
    with door.admit(), pytest.raises(RequestError, match="some-variant: 1 requests") as caught:
        door.admit().__enter__()
    assert caught.value.status == 429
    assert (b"retry-after", b"1") in caught.value.headers()
    with door.admit():
        assert door.in_flight == 1
    assert door.in_flight == 0


async def test_what_is_open_is_waited_for_and_no_longer_than_asked() -> None:
    door, answered = Admission("some-variant", 2), asyncio.Event()

    async def request() -> None:
        with door.admit():
            await answered.wait()

    asked = asyncio.create_task(request())
    await asyncio.sleep(0)
    assert await door.until_empty(0.01) == 1
    answered.set()
    assert await door.until_empty(30) == 0
    assert asked.done()
