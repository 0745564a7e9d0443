"""The engine thread on a backend whose decodes wait for the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

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
        self.decoded: list[tuple[int, int, int]] = []

    def decode(self, batch: Batch) -> Logits:
        self.batches.append(list(batch.sequences))
        self.decoded += zip(batch.sequences, batch.positions, batch.tokens, strict=True)
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


def hand_out(delivery: Delivery, done: threading.Semaphore | None = None) -> None:
    for deliver, chunk in delivery:
        deliver(chunk)
    if done is not None:
        done.release()


@contextmanager
def running(backend: SteppedBackend) -> Iterator[Scheduler]:
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


def test_every_sequence_goes_on_where_it_was_whoever_joins_or_leaves() -> None:
    backend, done = SteppedBackend(2), [threading.Event() for _ in range(3)]
    lengths = [9, 3, 2]
    with running(backend) as scheduler:
        backend.go.release(2)
        scheduler.submit([sequence(3, lengths[0], [], done[0])])
        assert backend.begun.acquire(timeout=WAIT_S)
        for event, length in zip(done[1:], lengths[1:], strict=True):
            scheduler.submit([sequence(2, length, [], event)])
        backend.go.release(50)
        assert all(event.wait(WAIT_S) for event in done)
        cached = scheduler.cached_tokens
    by_slot = [[item[1:] for item in backend.decoded if item[0] == slot] for slot in (0, 1)]
    assert by_slot[0] == list(enumerate([0] * 3 + [1] * 8))
    # The third finds one token of its prompt in the second's cache.
    assert by_slot[1] == [*enumerate([0, 0, 1, 1]), (1, 0), (2, 1)]
    assert cached == 11 + 3


class ManyTokens(GatedBackend):
    """Logits of a vocabulary so large that threads share the choice."""

    def __init__(self) -> None:
        super().__init__(max_sequences=8)
        self.capacity = replace(self.capacity, vocab_size=300_000, batch_tokens=64)
        self._random = np.random.default_rng(3)

    def decode(self, batch: Batch) -> Logits:
        shape = (batch.rows, self.capacity.vocab_size)
        return self._random.standard_normal(shape).astype(np.float32) * 4

    def piece(self, token: int, *, special: bool) -> bytes:
        return b"."


def test_threads_that_share_the_choice_draw_what_one_draws() -> None:
    kinds = [
        SamplingParameters(temperature=0),
        SamplingParameters(seed=1),
        SamplingParameters(seed=2, top_p=0.9),
        SamplingParameters(seed=3, top_k=40, presence_penalty=1),
    ] * 2
    drawn = []
    for threads in (1, 3):
        arrived, done = [list[Chunk]() for _ in kinds], threading.Semaphore(0)
        scheduler = Scheduler(
            ManyTokens(), partial(hand_out, done=done), max_waiting=64, threads=threads
        )
        scheduler.start()
        scheduler.submit(
            [
                Sequence(
                    GenerationRequest(prompt=[0], max_tokens=4, sampling=kind, ignore_eos=True),
                    chunks.append,
                )
                for kind, chunks in zip(kinds, arrived, strict=True)
            ]
        )
        assert done.acquire(timeout=WAIT_S)
        scheduler.stop()
        drawn.append([chunk.tokens for chunks in arrived for chunk in chunks])
    assert drawn[0] == drawn[1]
    assert [len(tokens) for tokens in drawn[0]] == [4] * len(kinds)
