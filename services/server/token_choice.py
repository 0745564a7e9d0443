"""Choosing the next tokens of many sequences at once, from their logits.

A draw cuts the unlikeliest tokens off and inverts the distribution of what is left at a uniform
number from the sequence's own seed: the same seed draws the same tokens from the same logits,
whatever is drawn beside it. Cuts come in vLLM's order: ``min_p``, of what that leaves ``top_k``, of
what that leaves ``top_p``; of equal tokens the lowest ids stay.

Nothing of a vocabulary's size is sorted. With ``top_k`` or ``min_p`` a bound is found first that no
token to be kept lies below (for ``top_k`` the k-th largest of many groups' maxima), and the few
tokens above it are sorted, those of several rows at once. With ``top_p`` alone a token is drawn
from all, and drawn again where it turns out to be cut off: those heavier than it have too much of
the mass. Only what is cut off again and again is sorted; no token lighter than ``(1 - top_p) /
vocabulary`` of the mass belongs there, since all such together have less than ``1 - top_p`` of it.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

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
# and how many of one row a stable sort orders sooner than keys do.
_FEW_ARE_LEFT, _FEW = 0.01, 256
# Weights that are summed at once before a place among them is looked for.
_BLOCK = 256
_ONES = np.ones(_BLOCK, np.float32)
# Logits that are read in one go, so that the next pass finds them in the cache (1 MiB); and from
# how many on it pays to share the rows among threads.
_AT_ONCE, _WORTH_SHARING = 1 << 18, 1 << 21
# A candidate as one integer that sorts by row, falling weight and id. Weights are floats from 0 to
# 1, whose bits have the floats' own order.
_ID_BITS, _WEIGHT_BITS, _BITS_OF_ONE = 19, 30, 0x3F800000
# More than any vocabulary: what ``top_k`` keeps where it cuts nothing.
_ALL = 1 << _ID_BITS

Indices = NDArray[np.int64]
Reals = NDArray[np.float64]


class Rules(NamedTuple):
    """Parameters of rows as arrays ``(n,)``.

    ``coldness`` is one over the temperature. ``depth`` is how far below the highest logit ``min_p``
    lets one lie, infinity without it.
    """

    coldness: Logits
    top_k: Indices
    top_p: Reals
    depth: Logits

    def of(self, rows: slice | Indices) -> "Rules":
        """Those of some rows."""
        return Rules(self.coldness[rows], self.top_k[rows], self.top_p[rows], self.depth[rows])


class Candidates(NamedTuple):
    """Tokens that may be drawn, by rising row, one entry each ``(candidates,)``.

    ``mass`` is what all tokens of each row weigh ``(n,)``; None: what its candidates do.
    """

    rows: Indices
    tokens: Indices
    weights: Logits
    mass: Reals | None = None


# Gives a sequence's next uniform number in [0, 1).
Random = Callable[[], float]
Draw = Callable[[Logits, Sequence[Random], Rules], Indices]


def choose_token(logits: Logits, parameters: SamplingParameters, random: Random) -> int:
    """Draw one token from one row ``(vocab,)``."""
    return TokenChoice([parameters]).choose(logits[None], [random])[0]


class TokenChoice:
    """Draws a token from each of ``n`` rows, each by parameters of its own."""

    def __init__(
        self,
        parameters: Sequence[SamplingParameters],
        workers: Executor | None = None,
        shares: int = 1,
    ) -> None:
        """Sort the rows by what a draw from them takes.

        Many large rows are divided into so many shares, each of them drawn by one of the workers.
        """
        self._workers, self._shares = workers, shares
        draws = [_draw_for(item) for item in parameters]
        self._parts = [
            (
                draw,
                np.array([row for row, other in enumerate(draws) if other is draw]),
                _rules(
                    [item for item, other in zip(parameters, draws, strict=True) if other is draw]
                ),
            )
            for draw in dict.fromkeys(draws)
        ]

    def choose(self, logits: Logits, randoms: Sequence[Random]) -> list[int]:
        """Token ids of rows ``(n, vocab)``; each row asks its own uniform numbers."""
        tokens = np.empty(len(logits), np.int64)
        for draw, rows, rules in self._parts:
            if len(rows) == len(logits):
                tokens = self._drawn(draw, logits, randoms, rules)
            else:
                of_rows = [randoms[row] for row in rows.tolist()]
                tokens[rows] = self._drawn(draw, logits[rows], of_rows, rules)
        chosen: list[int] = tokens.tolist()
        return chosen

    def _drawn(
        self, draw: Draw, logits: Logits, randoms: Sequence[Random], rules: Rules
    ) -> Indices:
        """The tokens of rows of one kind, some rows at a time."""
        each = max(1, _AT_ONCE // logits.shape[1])
        if len(logits) <= each:
            return draw(logits, randoms, rules)

        def share(start: int, stop: int) -> list[Indices]:
            parts = [slice(row, min(row + each, stop)) for row in range(start, stop, each)]
            return [draw(logits[rows], randoms[rows], rules.of(rows)) for rows in parts]

        if self._workers is None or logits.size < _WORTH_SHARING:
            return np.concatenate(share(0, len(logits)))
        ends = [len(logits) * number // self._shares for number in range(self._shares + 1)]
        shared = self._workers.map(share, ends[:-1], ends[1:])
        return np.concatenate([tokens for tokens_of_share in shared for tokens in tokens_of_share])


def _draw_for(parameters: SamplingParameters) -> Draw:
    if parameters.is_greedy:
        return _likeliest
    if parameters.min_p >= _FEW_ARE_LEFT:
        return _draw_likely
    if parameters.top_k > 0:
        return _draw_of_k
    if parameters.min_p > 0:
        return _draw_likely
    return _draw_nucleus if parameters.top_p < 1 else _draw_from_all


def _rules(parameters: Sequence[SamplingParameters]) -> Rules:
    depths = [
        -item.temperature * math.log(item.min_p) if item.min_p > 0 else math.inf
        for item in parameters
    ]
    return Rules(
        coldness=np.array(
            [1 if item.is_greedy else 1 / item.temperature for item in parameters], np.float32
        ),
        top_k=np.array([item.top_k or _ALL for item in parameters], np.int64),
        top_p=np.array([item.top_p for item in parameters], np.float64),
        depth=np.array(depths, np.float32),
    )


def _likeliest(logits: Logits, _randoms: Sequence[Random], _rules: Rules) -> Indices:
    best: Indices = logits.argmax(axis=1)
    return best


def _uniforms(randoms: Sequence[Random]) -> Reals:
    return np.array([random() for random in randoms])


def _draw_from_all(logits: Logits, randoms: Sequence[Random], rules: Rules) -> Indices:
    weights = _weights(logits, rules)
    return _inverted(weights, _block_sums(weights), _uniforms(randoms))


def _inverted(weights: Logits, sums: Logits, at: Reals) -> Indices:
    """By row the token at which the running sum of weights reaches its part ``at``.

    Blocks are summed first: a running sum is ten times slower than a sum.
    """
    if len(weights) == 1:
        return np.array([_inverted_alone(weights[0], sums[0], at[0])])
    rows, size = np.arange(len(weights)), weights.shape[1]
    ends = sums.cumsum(axis=1, dtype=np.float64)
    wanted = at * ends[:, -1]
    block = _places(ends, wanted)
    wanted -= ends[rows, block] - sums[rows, block]
    tokens = block[:, None] * _BLOCK + np.arange(_BLOCK)
    inside = np.where(tokens < size, weights[rows[:, None], np.minimum(tokens, size - 1)], 0)
    place = _places(inside.cumsum(axis=1, dtype=np.float64), wanted)
    drawn: Indices = np.minimum(tokens[rows, place], size - 1)
    return drawn


def _inverted_alone(weights: Logits, sums: Logits, at: float) -> int:
    """The same for one row, at a third of the cost."""
    ends = sums.cumsum(dtype=np.float64)
    wanted = at * ends[-1]
    block = min(int(ends.searchsorted(wanted, side="right")), len(ends) - 1)
    inside = weights[block * _BLOCK : (block + 1) * _BLOCK].cumsum(dtype=np.float64)
    wanted -= ends[block] - sums[block]
    return block * _BLOCK + min(int(inside.searchsorted(wanted, side="right")), len(inside) - 1)


def _block_sums(weights: Logits) -> Logits:
    """Sums ``(n, blocks)`` of ``_BLOCK`` weights each, the last of what is left."""
    whole = weights.shape[1] // _BLOCK * _BLOCK
    # A product with ones is four times as fast as a sum along a short axis.
    sums: Logits = weights[:, :whole].reshape(len(weights), -1, _BLOCK) @ _ONES
    if whole == weights.shape[1]:
        return sums
    return np.column_stack((sums, weights[:, whole:].sum(axis=1)))


def _places(ends: Reals, wanted: Reals) -> Indices:
    """By row the place at which a running sum ``(n, k)`` passes what is wanted ``(n,)``."""
    passed: Indices = (ends <= wanted[:, None]).sum(axis=1).clip(max=ends.shape[1] - 1)
    return passed


def _draw_nucleus(logits: Logits, randoms: Sequence[Random], rules: Rules) -> Indices:
    weights = _weights(logits, rules)
    sums = _block_sums(weights)
    limits = rules.top_p * sums.sum(axis=1, dtype=np.float64)
    tokens = np.full(len(weights), -1)
    left = np.flatnonzero(rules.top_p >= _MOST_ARE_KEPT)
    for _ in range(_TRIES):
        if not len(left):
            break
        whole = len(left) == len(weights)
        heavy, of_blocks = (weights, sums) if whole else (weights[left], sums[left])
        drawn = _inverted(heavy, of_blocks, _uniforms([randoms[row] for row in left.tolist()]))
        kept = _heavier(heavy, drawn) < limits[left]
        tokens[left[kept]], left = drawn[kept], left[~kept]
    rest = np.flatnonzero(tokens < 0)
    if len(rest):
        at = _uniforms([randoms[row] for row in rest.tolist()])
        tokens[rest] = _draw_sorted_nucleus(weights[rest], limits[rest], at, rules.of(rest))
    return tokens


def _heavier(weights: Logits, drawn: Indices) -> Reals:
    """By row the mass of what comes before the token drawn: heavier, or equal with a lower id."""
    own = weights[np.arange(len(weights)), drawn]
    rows, tokens, places = _above(weights, own)
    values = weights.reshape(-1)[places]
    before = (values > own[rows]) | (tokens < drawn[rows])
    return np.bincount(rows, values * before, len(weights)).astype(np.float64, copy=False)


def _draw_sorted_nucleus(weights: Logits, limits: Reals, at: Reals, rules: Rules) -> Indices:
    mass = limits / rules.top_p
    floor = mass * (1 - rules.top_p) * ((1 - _SLACK) / weights.shape[1])
    rows, tokens, places = _above(weights, floor.astype(np.float32))
    return _draw(Candidates(rows, tokens, weights.reshape(-1)[places], mass), at, rules)


def _draw_of_k(logits: Logits, randoms: Sequence[Random], rules: Rules) -> Indices:
    highest, lowest = _bounds(logits, rules)
    return _draw_bounded(logits, highest, lowest, _uniforms(randoms), rules)


def _draw_likely(logits: Logits, randoms: Sequence[Random], rules: Rules) -> Indices:
    highest: Logits = logits.max(axis=1)
    return _draw_bounded(logits, highest, highest - rules.depth, _uniforms(randoms), rules)


def _draw_bounded(
    logits: Logits, highest: Logits, lowest: Logits, at: Reals, rules: Rules
) -> Indices:
    """From what reaches the lowest logit of its row; nothing else needs a weight."""
    rows, tokens, places = _above(logits, lowest)
    weights = logits.reshape(-1)[places] - highest[rows]
    weights *= rules.coldness[rows]
    return _draw(Candidates(rows, tokens, np.exp(weights, out=weights)), at, rules)


def _weights(logits: Logits, rules: Rules) -> Logits:
    """Of every token, the likeliest token's being 1."""
    weights: Logits = logits - logits.max(axis=1, keepdims=True)
    weights *= rules.coldness[:, None]
    return np.exp(weights, out=weights)


def _bounds(logits: Logits, rules: Rules) -> tuple[Logits, Logits]:
    """By row the highest logit, and one below which nothing is kept, each ``(n,)``."""
    size = logits.shape[1]
    top_k = np.minimum(rules.top_k, size)
    groups = max(_GROUPS, _GROUPS_PER_K * int(top_k.max()))
    if groups > size:
        highest: Logits = logits.max(axis=1)
        return highest, highest - rules.depth
    maxima = _group_maxima(logits, groups)
    maxima.sort(axis=1)
    highest = maxima[:, -1]
    return highest, np.maximum(maxima[np.arange(len(maxima)), -top_k], highest - rules.depth)


def _group_maxima(logits: Logits, groups: int) -> Logits:
    """The highest logit of each group ``(n, groups)``: every ``groups``-th token is one's."""
    whole = logits.shape[1] // groups * groups
    maxima: Logits = logits[:, :whole].reshape(len(logits), -1, groups).max(axis=1)
    left = maxima[:, : logits.shape[1] - whole]
    np.maximum(left, logits[:, whole:], out=left)
    return maxima


def _above(values: Logits, floor: Logits) -> tuple[Indices, Indices, Indices]:
    """Row, token and place in the whole of what reaches its row's floor."""
    # A row of NaN, which no model should make, keeps all its tokens: none would be an error.
    below = values < floor[:, None]
    places = np.flatnonzero(np.logical_not(below, out=below))
    if len(values) == 1:
        return np.zeros_like(places), places, places
    starts = np.arange(len(values) + 1) * values.shape[1]
    rows = np.repeat(np.arange(len(values)), np.diff(places.searchsorted(starts)))
    return rows, places - starts[rows], places


def _draw(candidates: Candidates, at: Reals, rules: Rules) -> Indices:
    """Cut by ``top_k`` and ``top_p``, and invert what is left from the likeliest token on."""
    if len(at) == 1:
        return _draw_alone(candidates, at, rules)
    rows = candidates.rows
    tokens, weights = _sorted(candidates, rows << (_ID_BITS + _WEIGHT_BITS))
    counts = np.bincount(rows, minlength=len(at))
    begins = counts.cumsum() - counts
    running = weights.cumsum(dtype=np.float64)
    before = running[begins] - weights[begins]
    kept = np.minimum(rules.top_k, counts)
    if rules.top_p.min() < 1:
        mass = candidates.mass
        if mass is None:
            mass = running[begins + kept - 1] - before
        reached = running.searchsorted(before + mass * rules.top_p) - begins + 1
        kept = np.where(rules.top_p < 1, np.minimum(kept, np.maximum(reached, 1)), kept)
    last = begins + kept - 1
    drawn = running.searchsorted(before + at * (running[last] - before), side="right")
    return tokens[np.minimum(drawn, last)]


def _draw_alone(candidates: Candidates, at: Reals, rules: Rules) -> Indices:
    """The same for one row, at a third of the cost."""
    tokens, weights = (_sorted_few if len(candidates.tokens) <= _FEW else _sorted)(candidates)
    running = weights.cumsum(dtype=np.float64)
    kept = min(len(tokens), int(rules.top_k[0]))
    if rules.top_p[0] < 1:
        mass = running[kept - 1] if candidates.mass is None else candidates.mass[0]
        kept = min(kept, int(running.searchsorted(mass * rules.top_p[0])) + 1)
    drawn = int(running.searchsorted(at[0] * running[kept - 1], side="right"))
    place = min(drawn, kept - 1)
    return tokens[place : place + 1]


def _sorted_few(candidates: Candidates) -> tuple[Indices, Logits]:
    """Those of one row, from the likeliest on: ids rise, so of equal ones the lowest is first."""
    order = np.negative(candidates.weights).argsort(kind="stable")
    return candidates.tokens[order], candidates.weights[order]


def _sorted(candidates: Candidates, row_bits: Indices | int = 0) -> tuple[Indices, Logits]:
    """Tokens and weights, by row from the likeliest on; of equal ones the lowest id first."""
    # NaN, whose bits are beyond, counts as 1: it must not get into another row's bits.
    bits = np.minimum(candidates.weights.view(np.uint32), np.uint32(_BITS_OF_ONE))
    falling = _BITS_OF_ONE - bits.astype(np.int64)
    keys = (falling << _ID_BITS) | candidates.tokens | row_bits
    keys.sort()
    falling = (keys >> _ID_BITS) & ((1 << _WEIGHT_BITS) - 1)
    weights = (_BITS_OF_ONE - falling).astype(np.int32).view(np.float32)
    return keys & (_ALL - 1), weights
