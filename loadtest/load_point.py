"""The load point: under which load a variant is measured, as a value that knows what it means.

Records, summaries, comparison, verdict and report carry it along and ask it; none of them asks
which kind of load it is. One file per kind (``closed_loop.py``), and a row in ``load_kinds.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import ClassVar

from deploy.plan_load import Load
from loadtest.asks import Asks
from loadtest.prompts import Arrays

# What an H100 sends a stream of a small model, the fastest that we have met.
STREAM_EVENTS_PER_S = 160.0
# A median of fewer requests is not printed, so a level goes on until it has them.
LEAST_FOR_MEDIAN = 5


@dataclass(frozen=True, order=True)
class LoadPoint(ABC):
    """One load of one kind; the points of a kind are in order of ``amount``.

    ``kind`` is the kind's name in plans and files, ``noun`` what ``amount`` is called
    ("concurrency"), ``axis`` what it counts ("concurrent requests"). ``rate_words`` say what the
    tokens of a throughput are divided by, ``limit_words`` what such a load cannot show.
    ``counts_from_due``: a request's latency begins when it was due, and not when it was sent.
    ``asks`` is what its requests ask. A load that ``decides`` may enter a verdict; one that
    ``changes`` is not the same from begin to end of its window. Where points are ``searched``, they
    are met one after the other until ``goes_on`` says no.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    axis: ClassVar[str]
    rate_words: ClassVar[str]
    limit_words: ClassVar[str]
    counts_from_due: ClassVar[bool] = False
    asks: ClassVar[type[Asks]] = Asks
    decides: ClassVar[bool] = True
    changes: ClassVar[bool] = False
    is_searched: ClassVar[bool] = False

    amount: float

    @property
    def number(self) -> str:
        """The amount alone, as it stands at a tick of an axis: "16"."""
        return f"{self.amount:.12g}"

    @property
    def key(self) -> str:
        """The point in a file, "closed_loop:16"; ``load_kinds.read_point`` reads it back."""
        return f"{self.kind}:{self.number}"

    @property
    @abstractmethod
    def label(self) -> str:
        """The point in a sentence: "16 streams"."""

    @property
    def short(self) -> str:
        """The point at the head of a narrow column: "16 at once"."""
        return self.label

    @property
    def place(self) -> str:
        """The point by its noun: "concurrency 16"."""
        return f"{self.noun} {self.number}"

    @property
    def full(self) -> str:
        """The point by what it counts: "16 concurrent requests"."""
        return f"{self.number} {self.axis}"

    @property
    @abstractmethod
    def block(self) -> int:
        """How many requests, in order of sending, hang together: they are resampled as one."""

    @abstractmethod
    def seconds(self, cycles_s: Sequence[float]) -> float:
        """The wall time for which requests stand, by their cycles (from due to answered).

        A rate at this point is what the requests gained over this time.
        """

    def seconds_of(self, dues_s: Sequence[float], cycles_s: Sequence[float]) -> float:
        """The same by the times at which requests were due, too."""
        return self.seconds(cycles_s)

    @property
    @abstractmethod
    def users(self) -> int:
        """How many users the client runs, each with at most one request in flight."""

    @property
    def sequences(self) -> int | None:
        """How many answers an engine writes at once; None where the load does not fix it."""
        return None

    def events_per_s(self, output_tokens: int) -> float:
        """How many events a second the client may have to take, of answers that long."""
        return self.users * STREAM_EVENTS_PER_S

    @property
    def certified_as(self) -> "LoadPoint":
        """The load by which the client is certified for this one."""
        return self

    @classmethod
    def goes_on(cls, rates: Sequence[float]) -> bool:
        """Whether to measure the next point, too, after such throughputs (tokens per second)."""
        return True

    def part_of(self, passed: float, turn: int | None, *, intruder: bool) -> str:
        """The part of the load in which a request is told of apart from others; "": in none.

        It was due when this share of the time from the first counted request to the last was over.
        """
        return ""

    @classmethod
    def beside(cls, load: Load, tokenizer: Path, context_length: int) -> Arrays:
        """What the asks need besides text, read from files; ``tokenizer`` is the model's folder.

        Raises:
            PromptError: a file is not as it must be.
        """
        return {}

    def due_s(self, index: int) -> float | None:
        """When request ``index`` (from 0) is to be sent, in seconds from the level's begin.

        None: as soon as a user is free.
        """
        return None

    def least_requests(self, rounds: int) -> int:
        """How many requests a level must send per round: a block, and together a median."""
        return max(self.block, ceil(LEAST_FOR_MEDIAN / rounds))
