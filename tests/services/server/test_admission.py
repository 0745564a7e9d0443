"""What happens to a request when all places and the queue are taken.

covers: services/server/app.py, services/server/backend.py, services/server/scheduler.py
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import numpy as np

from quantize.artifact.conversation import Conversation
from services.server.app import Engine, make_app
from services.server.backend import Batch
from services.server.chat_template import ChatTemplate
from services.server.sampling import Logits
from services.server.scheduler import Delivery, Scheduler
from tests.services.server.gated_backend import GatedBackend

MODEL = "gated"
BODY: dict[str, object] = {"model": MODEL, "prompt": "abc", "max_tokens": 2, "temperature": 0}


@asynccontextmanager
async def serving(backend: GatedBackend, max_waiting: int) -> AsyncIterator[httpx.AsyncClient]:
    """The server's application on ``backend``, and a client that holds its key."""
    loop = asyncio.get_running_loop()

    def deliver(delivery: Delivery) -> None:
        for receive, chunk in delivery:
            loop.call_soon_threadsafe(receive, chunk)

    scheduler = Scheduler(backend, deliver, max_waiting)
    engine = Engine(
        backend=backend,
        scheduler=scheduler,
        served_name=MODEL,
        chat_template=ChatTemplate(Conversation()),
    )
    transport = httpx.ASGITransport(make_app(engine, "key", lambda: None))
    scheduler.start()
    try:
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://engine",
            headers={"authorization": "Bearer key"},
        ) as client:
            yield client
    finally:
        backend.gate.set()
        scheduler.stop()


async def test_a_full_queue_is_a_429_with_retry_after() -> None:
    backend = GatedBackend(max_sequences=1)
    async with serving(backend, max_waiting=2) as client:
        busy = asyncio.create_task(client.post("/v1/completions", json={**BODY, "n": 2}))
        await asyncio.to_thread(backend.decoding.wait, 10)
        refused = await client.post("/v1/completions", json={**BODY, "n": 2})
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["type"] == "rate_limit_error"
        backend.gate.set()
        assert (await busy).status_code == 200


async def test_a_request_that_fits_the_queue_waits_and_is_answered() -> None:
    backend = GatedBackend(max_sequences=1)
    async with serving(backend, max_waiting=2) as client:
        busy = asyncio.create_task(client.post("/v1/completions", json={**BODY, "n": 2}))
        await asyncio.to_thread(backend.decoding.wait, 10)
        second = asyncio.create_task(client.post("/v1/completions", json=BODY))
        backend.gate.set()
        assert [(await task).status_code for task in (busy, second)] == [200, 200]
        assert (await second).json()["choices"][0]["text"] == "bb"


class _StopsInTheMiddle(GatedBackend):
    """Decodes twice before it waits for the gate."""

    decodes = 0

    def decode(self, batch: Batch) -> Logits:
        """As the gated backend, with the gate open for the first two."""
        self.decodes += 1
        if self.decodes <= 2:
            return np.tile(np.array([0, 1, 0, 0], np.float32), (batch.rows, 1))
        return super().decode(batch)


async def test_the_cache_is_in_use_only_while_a_sequence_runs() -> None:
    backend = _StopsInTheMiddle(max_sequences=1)
    async with serving(backend, max_waiting=4) as client:

        async def used() -> float:
            lines = (await client.get("/metrics")).text.splitlines()
            return next(float(x.split()[1]) for x in lines if x.startswith("engine_kv_cache_used"))

        assert await used() == 0
        body = {**BODY, "max_tokens": 8}
        running = asyncio.create_task(client.post("/v1/completions", json=body))
        async with asyncio.timeout(20):
            while await used() == 0:
                await asyncio.sleep(0.01)
            backend.gate.set()
            assert (await running).status_code == 200
            while await used() != 0:
                await asyncio.sleep(0.01)
