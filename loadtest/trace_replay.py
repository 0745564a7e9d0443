"""Trace replay: the requests of a recorded trace, when they came and as long as they were.

Their texts are not in a trace, so prompts are made of the plan's text. Blocks that a trace calls
equal are equal ids, and all others differ, within a leg: so an engine's prefix cache finds there
what it would have found of the original, and nothing that other legs left behind.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.plan_load import Load, TraceLoad
from loadtest.asks import Ask, Asks, Terms, Turn
from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.open_loop import OpenLoop, between_dues
from loadtest.prompts import Arrays, PromptError
from loadtest.trace_rows import TracedRequest, read_trace

# Ids that tell a block from all others.
MARK = 4
# Parts of the window that the report tells of.
PARTS = 5
# How many requests a trace has in flight is not known before it is read.
USERS, CERTIFIED_STREAMS = 256, 16
_PREFIX = "trace_"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The requests of a trace in order of time, as arrays of one value per request.

    ``at_s`` begins with 0. The ``hash_ids`` of request i end before place ``ends[i]``.
    """

    at_s: npt.NDArray[np.float64]
    prompt_tokens: npt.NDArray[np.int64]
    output_tokens: npt.NDArray[np.int64]
    hash_ids: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def trace_of(requests: Sequence[TracedRequest], load: TraceLoad, context_length: int) -> Trace:
    """The trace as it is replayed, its lengths scaled as the plan asks.

    Raises:
        PromptError: a request would not fit into the context of the endpoints (tokens).
    """
    scale = load.length_scale
    prompts = [max(1, round(it.prompt_tokens * scale)) for it in requests]
    outputs = [max(1, round(it.output_tokens * scale)) for it in requests]
    longest = max(map(sum, zip(prompts, outputs, strict=True)))
    if longest > context_length:
        fitting = 0.99 * scale * context_length / longest
        raise PromptError(
            f"load.trace: its longest request has {longest} tokens, but serving.context_length is "
            f"{context_length}: set load.length_scale to {fitting:.2g} or less"
        )
    return Trace(
        at_s=np.array([it.at_s for it in requests]),
        prompt_tokens=np.array(prompts),
        output_tokens=np.array(outputs),
        hash_ids=np.array([n for it in requests for n in it.hash_ids], dtype=np.int64),
        ends=np.cumsum([len(it.hash_ids) for it in requests]),
    )


class TraceAsks(Asks):
    """The requests of the trace, from its begin in every round; after its end, once more."""

    first_arrival = 0

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        assert isinstance(terms.load, TraceLoad)
        beside = terms.prompts.beside
        arrays: dict[str, Any] = {it: beside[_PREFIX + it] for it in Trace.__annotations__}
        self._trace = Trace(**arrays)
        self._words = np.unique(terms.prompts.ids)
        self._block = max(1, round(terms.load.block_tokens * terms.load.length_scale))

    def due_s(self, index: int) -> float:
        """When request ``index`` (from 0) arrives."""
        at_s = self._trace.at_s
        lap, place = divmod(index, len(at_s))
        # Between the last request and the first one again lies a gap like all others.
        lap_s = float(at_s[-1]) * len(at_s) / max(1, len(at_s) - 1) or 1.0
        return (lap * lap_s + float(at_s[place])) / self.terms.amount

    def ask(self, turn: Turn) -> Ask:
        """The request of the trace in that place."""
        trace, prompts, number = self._trace, self.terms.prompts, self.terms.number(turn.place)
        lap, place = divmod(turn.place, len(trace.at_s))
        length = int(trace.prompt_tokens[place])
        known = self._blocks(lap, place, length - 1)
        rest = prompts.prompt(number, length - len(known))
        return Ask(
            prompt=[rest[0], *known, *rest[1:]],
            output_tokens=int(trace.output_tokens[place]),
            exact=not self.terms.load.natural_length,
            number=number,
        )

    def _blocks(self, lap: int, place: int, length: int) -> list[int]:
        """What the trace says of a prompt's content, up to ``length`` ids."""
        ends = self._trace.ends
        mine = self._trace.hash_ids[ends[place - 1] if place else 0 : ends[place]]
        blocks = mine[: ceil(length / self._block)]
        return [token for it in blocks for token in self._content(lap, int(it))][:length]

    def _content(self, lap: int, hash_id: int) -> list[int]:
        """A block: ids that no other block has, and text."""
        # The number of the leg's first prompt tells it from all other legs.
        words = f"{self.terms.number(0)} {lap} {hash_id}"
        drawn = int.from_bytes(hashlib.blake2b(words.encode(), digest_size=16).digest(), "big")
        mark = []
        for _ in range(min(MARK, self._block)):
            drawn, word = divmod(drawn, len(self._words))
            mark.append(int(self._words[word]))
        ids = self.terms.prompts.ids
        begin = drawn % len(ids)
        text = ids.take(range(begin, begin + self._block - len(mark)), mode="wrap")
        return [*mark, *text.tolist()]


class TraceReplay(OpenLoop):
    """A trace at ``amount`` times its own speed."""

    kind = "trace"
    noun = "speed"
    axis = "times the speed of the trace"
    spread = 1.0
    asks = TraceAsks
    changes = True
    rate_words = "over the time in which the requests that brought them arrived."
    limit_words = (
        "The load is a recorded trace: it shows what that traffic meets, in the part that was "
        "replayed, and its texts are others than those of the original."
    )

    @property
    def label(self) -> str:
        """As a sentence of the verdict says it."""
        return f"{self.number} times the speed of the trace"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"trace, {self.number}×"

    @property
    def users(self) -> int:
        """Enough for what is in flight, as long as the server keeps up."""
        return USERS

    @property
    def certified_as(self) -> LoadPoint:
        """The client meets a moderate number of streams."""
        return ClosedLoop(CERTIFIED_STREAMS)

    @classmethod
    def beside(cls, load: Load, tokenizer: Path, context_length: int) -> Arrays:
        """The trace."""
        assert isinstance(load, TraceLoad)
        found: Mapping[str, npt.NDArray[np.generic]] = vars(
            trace_of(read_trace(Path(load.trace)), load, context_length)
        )
        return {_PREFIX + name: values for name, values in found.items()}

    def seconds_of(self, dues_s: Sequence[float], cycles_s: Sequence[float]) -> float:
        """Arrivals tile the time."""
        return between_dues(dues_s)

    def part_of(self, passed: float, turn: int | None, *, intruder: bool) -> str:
        """A fifth of the window."""
        place = min(PARTS - 1, int(passed * PARTS))
        return f"{100 * place // PARTS} to {100 * (place + 1) // PARTS} % of the window"
