"""The engine thread on a backend whose decodes wait for the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from services.server.backend import Batch
from services.server.sampling import Logits, SamplingParameters
from services.server.scheduler import Delivery, Scheduler
from services.server.sequence import Chunk, GenerationRequest, Sequence
from tests.services.server.gated_backend import GatedBackend

WAIT_S = 10


class SteppedBackend(GatedBackend):
    """One decode each time that the test lets one go on; keeps the tokens of every batch."""

    def __init__(self, max_sequences: int) -> None:
        super().__init__(max_sequences)
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.batches: list[list[int]] = []

    def decode(self, batch: Batch) -> Logits:
        self.batches.append(list(batch.sequences))
        self.begun.release()
        assert self.go.acquire(timeout=WAIT_S)
        return np.tile(np.array([0, 1, 0, 0], np.float32), (batch.rows, 1))


def sequence(
    prompt: int, max_tokens: int, arrived: list[Chunk], done: threading.Event | None = None
) -> Sequence:
    """Greedy, with its chunks in ``arrived``; ``done`` is set with the last."""

    def deliver(chunk: Chunk) -> None:
        arrived.append(chunk)
        if done is not None and chunk.finish_reason is not None:
            done.set()

    request = GenerationRequest(
        prompt=[0] * prompt,
        max_tokens=max_tokens,
        sampling=SamplingParameters(temperature=0),
        ignore_eos=True,
        stream=True,
    )
    return Sequence(request, deliver)


@contextmanager
def running(backend: SteppedBackend) -> Iterator[Scheduler]:
    def hand_out(delivery: Delivery) -> None:
        for deliver, chunk in delivery:
            deliver(chunk)

    scheduler = Scheduler(backend, hand_out, max_waiting=64)
    scheduler.start()
    try:
        yield scheduler
    finally:
        backend.go.release(1000)
        scheduler.stop()


def test_a_cancelled_sequence_is_in_no_decode_after_the_one_under_way() -> None:
    backend, chunks = SteppedBackend(2), list[Chunk]()
    goes, stays, done = sequence(2, 50, chunks), sequence(2, 3, []), threading.Event()
    stays.deliver = lambda chunk: done.set() if chunk.finish_reason else None
    with running(backend) as scheduler:
        scheduler.submit([goes])
        scheduler.submit([stays])
        assert backend.begun.acquire(timeout=WAIT_S)
        backend.go.release()
        assert backend.begun.acquire(timeout=WAIT_S)
        goes.cancelled = True
        under_way = len(backend.batches)
        backend.go.release(50)
        assert done.wait(WAIT_S)
        later = backend.batches[under_way:]
    assert later
    assert all(goes.slot not in batch for batch in later)


def test_a_cancelled_prompt_is_read_no_further() -> None:
    backend, goes = SteppedBackend(1), sequence(60, 2, [])
    with running(backend) as scheduler:
        scheduler.submit([goes])
        assert backend.begun.acquire(timeout=WAIT_S)
        goes.cancelled = True
        backend.go.release(50)
        done = threading.Event()
        scheduler.submit([sequence(1, 1, [], done)])
        assert done.wait(WAIT_S)
    assert [len(batch) for batch in backend.batches] == [16, 1]


def test_a_later_request_waits_for_one_of_many_sequences_not_for_all() -> None:
    backend, order = SteppedBackend(1), list[str]()
    done = threading.Event()

    def named(name: str) -> Sequence:
        made = sequence(1, 1, [])

        def deliver(chunk: Chunk) -> None:
            order.append(name)
            if len(order) == 6:
                done.set()

        made.deliver = deliver
        return made

    with running(backend) as scheduler:
        scheduler.submit([named("large") for _ in range(5)])
        assert backend.begun.acquire(timeout=WAIT_S)
        scheduler.submit([named("small")])
        assert scheduler.waiting == 5
        backend.go.release(50)
        assert done.wait(WAIT_S)
    assert order == ["large", "large", "small", "large", "large", "large"]
