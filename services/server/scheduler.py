"""Continuous batching: one thread that decodes all running sequences together.

Every step is one decode of the next token of each running sequence, plus a chunk of the prompts
that are still being read, so that a long prompt delays the others by a bounded time.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from queue import SimpleQueue

from services.http.errors import RequestError
from services.server.backend import Backend, BackendError, Batch
from services.server.batching import Segment, compose
from services.server.sampling import Logits, score_tokens
from services.server.sequence import Chunk, Sequence, score_chosen
from services.server.slots import Slot, plan_reuse
from services.server.waiting import WaitingLine

Delivery = list[tuple[Callable[[Chunk], None], Chunk]]
# Sequences that get a token, each with its row of logits.
Ready = list[tuple[Sequence, int]]

# From how many logits on it pays to share the rows among threads.
_WORTH_SHARING = 1 << 21

logger = logging.getLogger(__name__)


@dataclass
class Statistics:
    """Counters that the engine thread writes and anyone may read."""

    running: int = 0
    batch_tokens: int = 0
    steps_total: int = 0
    prompt_tokens_total: int = 0
    reused_tokens_total: int = 0
    generation_tokens_total: int = 0


class Scheduler:
    """Runs sequences on a backend. ``deliver`` hands a batch of chunks to the server's loop.

    ``died`` is called, in the engine thread, when that thread ends without having been stopped.
    ``threads`` share the choice of tokens where the vocabulary makes it long.
    """

    def __init__(
        self,
        backend: Backend,
        deliver: Callable[[Delivery], None],
        max_waiting: int,
        died: Callable[[], None] = lambda: None,
        threads: int = 1,
    ) -> None:
        self._backend = backend
        self._deliver = deliver
        self._died = died
        self._max_waiting = max_waiting
        # The sequences of a request, or None to wake up; counted on both ends.
        self._commands: SimpleQueue[list[Sequence] | None] = SimpleQueue()
        self._submitted = self._received = 0
        self._waiting = WaitingLine()
        self._running: list[Sequence] = []
        self._slots = [Slot(number) for number in range(backend.capacity.max_sequences)]
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stopping = False
        # The latest decode; where nobody has joined, left or read a prompt since, the next one is
        # the same a token later.
        self._batch, self._segments, self._ready = Batch(), list[Segment](), Ready()
        self._steady = False
        self._piece = partial(backend.piece, special=False)
        self._threads = threads
        self._workers = ThreadPoolExecutor(threads, "choose") if threads > 1 else None
        self.statistics = Statistics()

    @property
    def waiting(self) -> int:
        """Sequences that have no slot yet."""
        return len(self._waiting) + self._submitted - self._received

    @property
    def cached_tokens(self) -> int:
        """Tokens in the caches of all slots, as they are now."""
        idle = sum(len(slot.tokens) for slot in self._slots if not slot.busy)
        return idle + self.held_tokens

    @property
    def held_tokens(self) -> int:
        """Those of them that belong to running sequences."""
        return sum(sequence.cached_length for sequence in self._running)

    @property
    def alive(self) -> bool:
        """Whether the engine thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the engine thread."""
        self._thread.start()

    def submit(self, sequences: list[Sequence]) -> None:
        """Queue the sequences of one request, all or none; called from the server's thread.

        Raises:
            RequestError: 429, too many wait already.
            RequestError: 503, the engine thread has ended.
        """
        if not self.alive:
            raise RequestError(503, "the engine has stopped")
        if self.waiting and self.waiting + len(sequences) > self._max_waiting:
            raise RequestError(429, f"{self.waiting} sequences wait already; try again")
        for sequence in sequences:
            sequence.piece = self._piece
        self._submitted += len(sequences)
        self._commands.put(sequences)

    def stop(self) -> None:
        """Stop after the current step and wait for it; unfinished sequences get an error."""
        self._stopping = True
        self._commands.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._receive()
                self._drop_cancelled()
                self._admit()
                if self._running:
                    self._step()
        finally:
            while not self._commands.empty():
                self._take_in(self._commands.get())
            self._fail([*self._running, *self._waiting], "the engine has stopped")
            if not self._stopping:
                self._died()

    def _receive(self) -> None:
        """Take in new sequences; sleeps only when there is nothing to do."""
        idle = not self._running and not self._waiting
        while idle or not self._commands.empty():
            self._take_in(self._commands.get())
            idle = False

    def _take_in(self, command: list[Sequence] | None) -> None:
        if command is not None:
            self._waiting.add(command)
            self._received += len(command)

    def _drop_cancelled(self) -> None:
        for sequence in [item for item in self._running if item.cancelled]:
            self._release(sequence)
        self._waiting.drop_cancelled()

    def _admit(self) -> None:
        while self._waiting and len(self._running) < len(self._slots):
            sequence = self._waiting.take()
            request = sequence.request
            reuse = plan_reuse(self._slots, request.prompt, request.prompt_logprobs)
            slot = reuse.slot
            self._trim(slot, reuse.cached)
            slot.busy, slot.scores = True, None
            sequence.slot, sequence.prefilled = slot.number, reuse.cached
            if reuse.scores is not None:
                sequence.prompt_scores.append(reuse.scores)
            self._running.append(sequence)
            self._steady = False
            self.statistics.reused_tokens_total += reuse.cached
        self.statistics.running = len(self._running)

    def _step(self) -> None:
        self._compose()
        try:
            logits = self._backend.decode(self._batch)
        except BackendError as error:
            logger.error("decoding failed: %s", error)
            self._fail([segment.sequence for segment in self._segments], str(error))
            return
        delivery: Delivery = []
        if not self._steady:
            self._score_prompts(self._segments, logits)
            delivery += self._end_unasked()
        delivery += self._sample(self._ready, logits)
        if delivery:
            self._deliver(delivery)
        self._count(self._batch)

    def _compose(self) -> None:
        if self._steady:
            self._batch.advance([sequence.generated[-1] for sequence, _ in self._ready])
            return
        self._batch, self._segments = compose(self._running, self._backend.capacity)
        self._ready = [
            (segment.sequence, segment.first_row + segment.rows - 1)
            for segment in self._segments
            if segment.sequence.wants_token and not segment.sequence.is_prefilling
        ]
        prompts = [len(segment.tokens) for segment in self._segments if segment.is_prompt]
        self.statistics.prompt_tokens_total += sum(prompts)
        self._steady = not prompts

    def _end_unasked(self) -> Delivery:
        """Sequences whose prompt was all they wanted leave."""
        delivery: Delivery = []
        for segment in self._segments:
            sequence = segment.sequence
            if not sequence.is_prefilling and not sequence.wants_token:
                delivery.append((sequence.deliver, sequence.take_last()))
                self._release(sequence)
        return delivery

    def _score_prompts(self, segments: list[Segment], logits: Logits) -> None:
        for segment in segments:
            request = segment.sequence.request
            if not segment.is_prompt or request.prompt_logprobs is None:
                continue
            stop = segment.sequence.prefilled
            targets = request.prompt[stop - len(segment.tokens) + 1 : stop + 1]
            if targets:
                rows = logits[segment.first_row : segment.first_row + len(targets)]
                scores = score_tokens(rows, targets, request.prompt_logprobs)
                segment.sequence.prompt_scores.append(scores)
            if not segment.sequence.is_prefilling and segment.sequence.prompt_scores:
                self._slots[segment.sequence.slot].scores = segment.sequence.join_prompt_scores()

    def _sample(self, ready: Ready, logits: Logits) -> Delivery:
        """Draw a token for every sequence whose prompt is read; finished ones leave."""
        if not ready:
            return []
        end_tokens = self._backend.capacity.end_tokens
        tokens = self._choose(ready, logits)
        scores = score_chosen(ready, tokens, logits)
        delivery: Delivery = []
        for (sequence, _), token, score in zip(ready, tokens, scores, strict=True):
            if sequence.accept(token, score, token in end_tokens):
                delivery.append((sequence.deliver, sequence.take_last()))
                self._release(sequence)
            elif sequence.request.stream:
                chunk = sequence.take_chunk()
                if chunk is not None and not sequence.writes(chunk):
                    delivery.append((sequence.deliver, chunk))
        self.statistics.generation_tokens_total += len(tokens)
        return delivery

    def _choose(self, ready: Ready, logits: Logits) -> list[int]:
        """A token for each; the rows of many large ones are shared among threads."""
        if self._workers is None or logits.size < _WORTH_SHARING:
            return self._chosen(logits, ready)
        ends = [len(ready) * number // self._threads for number in range(self._threads + 1)]
        shares = [ready[start:stop] for start, stop in pairwise(ends) if start < stop]
        parts = self._workers.map(partial(self._chosen, logits), shares)
        return [token for part in parts for token in part]

    def _chosen(self, logits: Logits, ready: Ready) -> list[int]:
        end_tokens = self._backend.capacity.end_tokens
        first, last = ready[0][1], ready[-1][1]
        # As a slice the rows are not copied.
        together = last - first + 1 == len(ready)
        rows = slice(first, last + 1) if together else [row for _, row in ready]
        return [
            likeliest
            if sequence.takes_likeliest
            else sequence.choose(logits[row], likeliest, end_tokens)
            for (sequence, row), likeliest in zip(
                ready, logits[rows].argmax(axis=1).tolist(), strict=True
            )
        ]

    def _release(self, sequence: Sequence) -> None:
        """Free a finished sequence's slot; its cache stays for a later common prefix."""
        self._running.remove(sequence)
        self._steady = False
        slot = self._slots[sequence.slot]
        slot.tokens = sequence.cached_tokens
        slot.busy, slot.last_used = False, self.statistics.steps_total

    def _trim(self, slot: Slot, length: int) -> None:
        if length < len(slot.tokens):
            self._backend.trim(slot.number, length)
            del slot.tokens[length:]

    def _fail(self, sequences: list[Sequence], message: str) -> None:
        """End sequences with an error and forget their caches, which are now undefined."""
        for sequence in sequences:
            if sequence in self._running:
                self._running.remove(sequence)
                self._steady = False
                slot = self._slots[sequence.slot]
                self._backend.trim(slot.number, 0)
                slot.tokens, slot.scores, slot.busy = [], None, False
        failed = Chunk("", [], error=message)
        self._deliver([(sequence.deliver, failed) for sequence in sequences])

    def _count(self, batch: Batch) -> None:
        statistics = self.statistics
        statistics.running = len(self._running)
        statistics.batch_tokens = len(batch)
        statistics.steps_total += 1
