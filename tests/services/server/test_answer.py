"""An engine's failure before the first token is an HTTP error, for streams as well."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import numpy as np
import pytest

from services.server.answer import GenerationResponse
from services.server.backend import BackendError, Batch
from services.server.generation import Generation
from services.server.protocol import StreamOptions
from services.server.responses import CompletionShape
from services.server.sampling import Logits, SamplingParameters
from services.server.scheduler import Delivery, Scheduler
from services.server.sequence import GenerationRequest
from services.server.token_text import TokenText
from tests.services.server.gated_backend import GatedBackend


class FailsAfter(GatedBackend):
    """Decodes so many batches, and no more once the gate is open."""

    def __init__(self, decodes: int) -> None:
        super().__init__(max_sequences=1)
        self._left = decodes

    def decode(self, batch: Batch) -> Logits:
        self._left -= 1
        if self._left >= 0:
            return np.tile(np.array([0, 1, 0, 0], np.float32), (batch.rows, 1))
        assert self.gate.wait(timeout=30)
        raise BackendError("out of order")


async def answered(decodes: int, stream: bool) -> tuple[int, bytes]:
    """Status and body of a completion on a backend that fails after so many decodes."""
    backend, loop = FailsAfter(decodes), asyncio.get_running_loop()

    def deliver(delivery: Delivery) -> None:
        for receive, chunk in delivery:
            loop.call_soon_threadsafe(receive, chunk)

    scheduler = Scheduler(backend, deliver, max_waiting=1)
    request = GenerationRequest(
        prompt=[0], max_tokens=4, sampling=SamplingParameters(temperature=0), stream=stream
    )
    generation = Generation([request])
    shape = CompletionShape("m", TokenText(backend), [request], None)
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        backend.gate.set()

    if not decodes:
        backend.gate.set()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    scheduler.start()
    generation.start(scheduler)
    response = GenerationResponse(
        generation, shape, stream=stream, usage_options=StreamOptions(), choices_per_prompt=1
    )
    await response({"type": "http", "method": "POST", "headers": []}, receive, send)
    await asyncio.to_thread(scheduler.stop)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_of_an_answer_that_never_began_is_sent(stream: bool) -> None:
    status, body = await answered(0, stream)
    assert status == 503
    assert "out of order" in json.loads(body)["error"]["message"]


async def test_a_stream_that_had_begun_ends_with_the_error() -> None:
    status, body = await answered(1, stream=True)
    assert status == 200
    *events, error, rest = body.split(b"\n\n")
    assert len(events) == 1
    assert "out of order" in json.loads(error.removeprefix(b"data: "))["error"]["message"]
    assert rest == b""
