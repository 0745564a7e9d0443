"""One sequence as a variant scores it, beside what transformers computes. Pure functions.

The rule, for the absolute differences ``d`` (nats) of a sequence's scored tokens, and for their
``spread`` (how much of an error of the logits reaches a token's log-probability: nothing where the
model is sure, all of it where the token is one among many; ``quantize/agreement/probe.py``):

* mean: ``mean(d) <= max(limits.mean * noise * mean(spread), inputs)``, where what inputs explain is
  ``inputs = min(MOST_BY_INPUTS, limits.times_moved * mean(moved))``;
* token: ``d[t] <= limits.token * noise * (spread[t] + SPREAD_FLOOR)`` for every token.

``noise`` is the model's own: what its forward pass in bfloat16 differs by from that in float32,
divided by the spread. ``moved`` is what rounding the inputs as the format has it moves each token
by (nats), given where the sequence is held against weights whose inputs are rounded: on text that a
model does not know it is many times the noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

# What even a token of which the model is sure may be moved by, as a part of one among many.
SPREAD_FLOOR = 0.05
# What rounding inputs may explain of a mean at most (nats a token): about what a correct FP8 kernel
# may be off (0.98), and less than other weights move the bundled model by (1.4 and more). A tiny
# random model is moved by 0.9 to 1.0: where inputs explain as much, its mean hides other weights.
MOST_BY_INPUTS = 1.0
# How far beyond the mean's limit a token is where a sequence begins to differ.
_BEGINS = 2.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many times the model's own noise a mean and a token may be off.

    ``times_moved`` is how many times what the rounding of inputs moves a mean by it may be off
    instead: two kernels that round alike round different sums, and if what they round were
    independent they would be 1.4 times that apart.
    """

    mean: float
    token: float
    times_moved: float = 0


@dataclass(frozen=True, kw_only=True)
class ScoredSequence:
    """Log-probabilities of all ``ids`` but the first: ``heard`` of a variant, ``expected``."""

    name: str
    ids: Sequence[int]
    heard: Sequence[float]
    expected: Sequence[float]
    spread: Sequence[float]
    noise: float
    limits: Limits
    moved: Sequence[float] = ()

    @property
    def differences(self) -> list[float]:
        """Absolute, in nats."""
        return [abs(a - b) for a, b in zip(self.heard, self.expected, strict=True)]

    @property
    def mean_nats(self) -> float:
        """The mean difference."""
        return fmean(self.differences)

    @property
    def limit_nats(self) -> float:
        """What the mean may be."""
        return self._limit(0, len(self.spread))

    @property
    def agrees(self) -> bool:
        """Whether the mean and every token are within the limits."""
        return self.part_agrees(0, len(self.spread)) and self.worst_token is None

    @property
    def worst_token(self) -> int | None:
        """The token that is farthest beyond its own limit; None where none is."""
        over = [d - self._token_limit(t) for t, d in enumerate(self.differences)]
        worst = max(range(len(over)), key=over.__getitem__)
        return worst if over[worst] > 0 else None

    def part_agrees(self, start: int, stop: int) -> bool:
        """Whether the mean over scored tokens ``start`` to ``stop`` is within its limit."""
        found = self.differences[start:stop]
        return not found or fmean(found) <= self._limit(start, stop)

    @property
    def begins(self) -> int:
        """The scored token at which it begins to differ (0 is that of the second id)."""
        limits = zip(self.spread, self.moved or [0] * len(self.spread), strict=True)
        for token, (spread, moved) in enumerate(limits):
            by_noise = self.limits.mean * self.noise * (spread + SPREAD_FLOOR)
            by_inputs = self.limits.times_moved * moved
            if self.differences[token] > _BEGINS * max(by_noise, by_inputs):
                return token
        return 0

    def _limit(self, start: int, stop: int) -> float:
        return max(
            self.limits.mean * self.noise * fmean(self.spread[start:stop] or [0]),
            min(MOST_BY_INPUTS, self.limits.times_moved * fmean(self.moved[start:stop] or [0])),
        )

    def _token_limit(self, token: int) -> float:
        return self.limits.token * self.noise * (self.spread[token] + SPREAD_FLOOR)
