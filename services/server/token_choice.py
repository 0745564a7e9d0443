"""Choosing the next token from a row of logits.

A draw cuts the unlikeliest tokens off and inverts the distribution of what is left at a uniform
number from the sequence's own seed: the same seed draws the same tokens from the same logits,
whatever is drawn beside it. Cuts come in vLLM's order: ``min_p``, of what that leaves ``top_k``, of
what that leaves ``top_p``; of equal tokens the lowest ids stay.

Between two decodes nothing but the logits is in the processor's caches, so that a call costs more
by the code it is the first to run than by what it computes. Each row is therefore drawn by as few
calls as do, and the few tokens that a cut leaves are looked at in plain Python.

Nothing of a vocabulary's size is sorted. With ``top_k`` or ``min_p`` a bound is found first that no
token to be kept lies below (for ``top_k`` the k-th largest of many groups' maxima), and the few
tokens above it are sorted. With ``top_p`` alone a token is drawn from all, and drawn again where it
turns out to be cut off: those heavier than it have too much of the mass. Only what is cut off again
and again is sorted; no token lighter than ``(1 - top_p) / vocabulary`` of the mass belongs there,
since all such together have less than ``1 - top_p`` of it.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from services.server.sampling import Logits, SamplingParameters

# Groups whose maxima bound the k-th largest logit; several times k of them.
_GROUPS, _GROUPS_PER_K = 256, 4
# How far beyond the bound for top_p a token is still looked at, so that rounding loses none.
_SLACK = 1e-3
# How often a token is drawn from all at most, and for which ``top_p``: one of two is then kept.
_TRIES, _MOST_ARE_KEPT = 3, 0.5
# From which ``min_p`` on it leaves so few tokens, as a rule, that ``top_k`` needs no bound beside;
# and how many Python looks at sooner than NumPy does.
_FEW_ARE_LEFT, _FEW = 0.01, 32
# Weights that are summed at once before a place among them is looked for.
_BLOCK = 256

Indices = NDArray[np.int64]
Reals = NDArray[np.float64]

# Gives a sequence's next uniform number in [0, 1).
Random = Callable[[], float]


def choose_token(logits: Logits, parameters: SamplingParameters, random: Random) -> int:
    """Draw one token from one row ``(vocab,)``."""
    return TokenChoice(parameters)(logits, int(logits.argmax()), random)


class TokenChoice:
    """How one sequence's tokens are drawn."""

    def __init__(self, parameters: SamplingParameters) -> None:
        """Choose the way that takes least; it holds for all draws."""
        self._coldness = 1.0 if parameters.is_greedy else 1 / parameters.temperature
        # How far below the highest logit ``min_p`` lets one lie.
        self._depth = (
            -parameters.temperature * math.log(parameters.min_p) if parameters.min_p else math.inf
        )
        self._top_k, self._top_p = parameters.top_k or None, parameters.top_p
        self._bounds_k = bool(parameters.top_k) and parameters.min_p < _FEW_ARE_LEFT
        self._draw = self._way(parameters)

    def __call__(self, logits: Logits, likeliest: int, random: Random) -> int:
        """A token of one row ``(vocab,)``, whose likeliest is known.

        Where that one's logit is infinite or no number, which no model should make, it is taken.
        """
        if self._draw is None:
            return likeliest
        highest = float(logits[likeliest])
        return self._draw(logits, highest, random) if math.isfinite(highest) else likeliest

    def _way(self, rules: SamplingParameters) -> Callable[[Logits, float, Random], int] | None:
        if rules.is_greedy:
            return None
        if rules.top_k > 0 or rules.min_p > 0:
            return self._draw_bounded
        return self._draw_nucleus if rules.top_p < 1 else self._draw_from_all

    def _draw_bounded(self, logits: Logits, highest: float, random: Random) -> int:
        """From what reaches a bound; nothing else needs a weight."""
        lowest = highest - self._depth
        if self._bounds_k and self._top_k is not None:
            lowest = max(lowest, _bound_of_k(logits, self._top_k))
        tokens = (logits >= lowest).nonzero()[0]
        return self._pick(tokens, logits[tokens], highest, random())

    def _draw_from_all(self, logits: Logits, highest: float, random: Random) -> int:
        weights = self._weights(logits, highest)
        return _Inversion(weights).token(random())

    def _draw_nucleus(self, logits: Logits, highest: float, random: Random) -> int:
        weights = self._weights(logits, highest)
        inversion = _Inversion(weights)
        limit = self._top_p * inversion.mass
        if self._top_p >= _MOST_ARE_KEPT:
            for _ in range(_TRIES):
                token = inversion.token(random())
                if _heavier(weights, token) < limit:
                    return token
        floor = inversion.mass * (1 - self._top_p) * (1 - _SLACK) / len(weights)
        tokens = (weights >= np.float32(floor)).nonzero()[0]
        return self._pick(tokens, logits[tokens], highest, random(), inversion.mass)

    def _weights(self, logits: Logits, highest: float) -> Logits:
        """Of every token, the likeliest token's being 1."""
        weights: Logits = logits - np.float32(highest)
        weights *= self._coldness
        return np.exp(weights, out=weights)

    def _pick(
        self, tokens: Indices, logits: Logits, highest: float, at: float, mass: float | None = None
    ) -> int:
        """Cut by ``top_k`` and ``top_p``, and invert what is left from the likeliest token on.

        ``tokens`` rise; ``mass`` is what all tokens weigh, without it what these do.
        """
        falling = _falling if len(tokens) <= _FEW else _falling_of_many
        order, running = falling(logits, highest, self._coldness, self._top_k)
        total = running[-1] if mass is None else mass
        last = min(bisect_left(running, self._top_p * total), len(running) - 1)
        place = bisect_right(running, at * running[last])
        return int(tokens[order[min(place, last)]])


def _falling(
    logits: Logits, highest: float, coldness: float, top_k: int | None
) -> tuple[Sequence[int], Sequence[float]]:
    """Places of ``top_k`` logits by falling logit and rising place, and the running sum of weights.

    A stable sort keeps the order of equal ones, in reverse too.
    """
    values = logits.tolist()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top_k]
    return order, list(accumulate(math.exp((values[i] - highest) * coldness) for i in order))


def _falling_of_many(
    logits: Logits, highest: float, coldness: float, top_k: int | None
) -> tuple[Indices, Reals]:
    """The same by NumPy."""
    order = np.negative(logits).argsort(kind="stable")[:top_k]
    weights = np.exp((logits[order].astype(np.float64) - highest) * coldness)
    return order, weights.cumsum()


class _Inversion:
    """The place at which the running sum of weights reaches a part of it.

    Blocks are summed first: a running sum is ten times slower than a sum.
    """

    def __init__(self, weights: Logits) -> None:
        self._weights = weights
        self._sums = np.add.reduceat(weights, _block_starts(len(weights)))
        self._ends = self._sums.cumsum(dtype=np.float64)
        self.mass = float(self._ends[-1])

    def token(self, at: float) -> int:
        wanted = at * self.mass
        block = min(int(self._ends.searchsorted(wanted, side="right")), len(self._ends) - 1)
        inside = self._weights[block * _BLOCK : (block + 1) * _BLOCK].cumsum(dtype=np.float64)
        wanted -= self._ends[block] - self._sums[block]
        place = int(inside.searchsorted(wanted, side="right"))
        if place == len(inside):
            # The block's own sum is rounded to more: the last of its tokens that has any weight.
            place = int(inside.searchsorted(inside[-1]))
        return block * _BLOCK + place


@cache
def _block_starts(size: int) -> Indices:
    return np.arange(0, size, _BLOCK)


def _heavier(weights: Logits, drawn: int) -> float:
    """The mass of what comes before the token drawn: heavier, or equal with a lower id."""
    own = weights[drawn]
    before = weights > own
    np.greater_equal(weights[:drawn], own, out=before[:drawn])
    # Not a choice of the weights, which takes five times as long.
    return float(np.add.reduce(weights * before))


def _bound_of_k(logits: Logits, top_k: int) -> float:
    """A logit that at least ``top_k`` tokens reach: the k-th largest of many groups' maxima."""
    groups = max(_GROUPS, _GROUPS_PER_K * top_k)
    rounds = len(logits) // groups
    if not rounds:
        return -math.inf
    maxima = np.maximum.reduce(logits[: rounds * groups].reshape(rounds, groups), axis=0)
    maxima.sort()
    return float(maxima[-top_k])
