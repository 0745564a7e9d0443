"""Choosing the next token, and scoring tokens: pure functions over logits.

Logits are float32 arrays as the backend returns them (rows of one value per vocabulary entry);
they are never modified. Log-probabilities are in nats, of the model's own distribution: before
temperature, penalties and bias, as vLLM reports them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]

# Rows scored at once: bounds the temporary arrays to a few MiB for a vocabulary of 128 Ki.
_ROWS_AT_ONCE = 16
# What is left of a float32's bits to sort it by: exponent and five bits, 32 bins per power of two.
_BIN_SHIFT = 18
# Weights that are summed at once before a place among them is looked for.
_BLOCK = 256
# The largest logit that a penalty makes, far from where float32 ends.
_FARTHEST = 1e30
# Below, the likeliest token is all there is, and float32 would divide by nothing. vLLM's bound.
_GREEDY_BELOW = 1e-5


@dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How a token is drawn; the defaults are OpenAI's (``top_k`` 0 = all tokens)."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def cuts_tail(self) -> bool:
        """Whether a draw leaves out the unlikeliest tokens; the likeliest alone needs no tail."""
        is_cut = self.top_p < 1 or self.top_k > 0 or self.min_p > 0
        return is_cut and self.temperature >= _GREEDY_BELOW

    @property
    def alters_logits(self) -> bool:
        """Whether penalties or biases move the logits before the choice."""
        penalties = self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1
        return bool(penalties or self.logit_bias)


@dataclass(frozen=True)
class TokenScores:
    """Log-probabilities of ``n`` tokens and of the ``k`` likeliest at each place.

    ``chosen`` is ``(n,)`` float64; ``top_ids`` ``(n, k)`` int64 and ``top`` ``(n, k)`` float64,
    likeliest first.
    """

    chosen: NDArray[np.float64]
    top_ids: NDArray[np.int64]
    top: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.chosen)

    def part(self, start: int, stop: int) -> "TokenScores":
        """Places ``start`` to ``stop``, as views."""
        return TokenScores(self.chosen[start:stop], self.top_ids[start:stop], self.top[start:stop])

    def narrowed(self, k: int) -> "TokenScores":
        """The same with only the ``k`` likeliest."""
        return TokenScores(self.chosen, self.top_ids[:, :k], self.top[:, :k])


def join_scores(parts: Sequence[TokenScores]) -> TokenScores:
    """Concatenate along the places; every part must have the same ``k``."""
    return TokenScores(
        np.concatenate([part.chosen for part in parts]),
        np.concatenate([part.top_ids for part in parts]),
        np.concatenate([part.top for part in parts]),
    )


def score_tokens(logits: Logits, tokens: Sequence[int], k: int) -> TokenScores:
    """Score ``tokens`` ``(n,)`` under ``logits`` ``(n, vocab)``.

    The normaliser is summed in float64: with a large vocabulary float32 loses about 1e-4 nats.
    """
    parts = [
        _score_block(logits[i : i + _ROWS_AT_ONCE], tokens[i : i + _ROWS_AT_ONCE], k)
        for i in range(0, len(tokens), _ROWS_AT_ONCE)
    ]
    return parts[0] if len(parts) == 1 else join_scores(parts)


def _score_block(logits: Logits, tokens: Sequence[int], k: int) -> TokenScores:
    rows = np.arange(len(tokens))
    highest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
    normaliser = highest[:, 0].astype(np.float64) + np.log(total)
    chosen = logits[rows, np.asarray(tokens)] - normaliser
    top_ids = _likeliest(logits, k)
    top = logits[rows[:, None], top_ids] - normaliser[:, None]
    return TokenScores(chosen, top_ids, top)


def _likeliest(logits: Logits, k: int) -> NDArray[np.int64]:
    if k == 0:
        return np.empty((len(logits), 0), np.int64)
    if k == 1:
        best: NDArray[np.int64] = logits.argmax(axis=1, keepdims=True)
        return best
    found = np.argpartition(logits, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(logits, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def adjust_logits(
    logits: Logits,
    parameters: SamplingParameters,
    counts: Mapping[int, int],
    banned: Sequence[int] = (),
    seen: Collection[int] = (),
) -> Logits:
    """A copy of one row with bias, penalties and bans applied, in vLLM's order.

    ``counts`` are of the generated tokens, which frequency and presence penalties are on
    (https://platform.openai.com/docs/guides/text-generation); ``seen`` are the prompt's and the
    generated ones, which the repetition penalty is on (CTRL, arXiv:1909.05858, section 4.1, with
    negative logits multiplied).
    """
    row = logits.copy()
    for token, bias in parameters.logit_bias.items():
        row[token] += bias
    if seen and parameters.repetition_penalty != 1:
        penalty = max(parameters.repetition_penalty, 1 / _FARTHEST)
        places = np.fromiter(seen, np.int64, len(seen))
        before = row[places].astype(np.float64)
        moved = np.where(before > 0, before / penalty, before * penalty)
        # A penalty next to 0 would make them infinite, and those have no softmax.
        row[places] = moved.clip(-_FARTHEST, _FARTHEST)
    if counts and (parameters.presence_penalty or parameters.frequency_penalty):
        tokens = np.fromiter(counts.keys(), np.int64, len(counts))
        times = np.fromiter(counts.values(), np.float32, len(counts))
        row[tokens] -= parameters.presence_penalty + parameters.frequency_penalty * times
    if banned:
        row[list(banned)] = -np.inf
    return row


def choose_token(logits: Logits, parameters: SamplingParameters, uniform: float) -> int:
    """Draw one token from one row by inverting the distribution at ``uniform`` in [0, 1)."""
    if parameters.temperature < _GREEDY_BELOW:
        return int(logits.argmax())
    weights = logits - logits.max()
    weights /= np.float32(parameters.temperature)
    np.exp(weights, out=weights)
    ids: NDArray[np.intp] | None = None
    if parameters.min_p > 0:
        # The likeliest token weighs 1.
        ids = np.flatnonzero(weights >= parameters.min_p)
        weights = weights[ids]
    if 0 < parameters.top_k < len(weights):
        kept = _heaviest(weights, None, parameters.top_k)
        ids, weights = kept if ids is None else ids[kept], weights[kept]
    if parameters.top_p < 1:
        kept = _heaviest(weights, weights, parameters.top_p * float(weights.sum()))
        ids, weights = kept if ids is None else ids[kept], weights[kept]
    place = _invert(weights, uniform)
    return place if ids is None else int(ids[place])


def _invert(weights: Logits, uniform: float) -> int:
    """The index at which the running sum reaches its part ``uniform``.

    Whole blocks are summed first: a running sum of the vocabulary is ten times slower than a sum.
    """
    ends = weights[:0].astype(np.float64)
    if len(weights) > 2 * _BLOCK:
        blocks = weights[: len(weights) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        ends = blocks.sum(axis=1).cumsum(dtype=np.float64)
    rest = weights[len(ends) * _BLOCK :].cumsum(dtype=np.float64)
    before = float(ends[-1]) if len(ends) else 0.0
    wanted = uniform * (before + (float(rest[-1]) if len(rest) else 0.0))
    if wanted >= before:
        place = int(np.searchsorted(rest, wanted - before, side="right"))
        return min(len(ends) * _BLOCK + place, len(weights) - 1)
    block = int(np.searchsorted(ends, wanted, side="right"))
    inside = blocks[block].cumsum(dtype=np.float64)
    begun = float(ends[block - 1]) if block else 0.0
    place = int(np.searchsorted(inside, wanted - begun, side="right"))
    return block * _BLOCK + min(place, _BLOCK - 1)


def _heaviest(weights: Logits, amounts: Logits | None, wanted: float) -> NDArray[np.intp]:
    """Indices, ascending, of the fewest heaviest weights whose ``amounts`` reach ``wanted``.

    Without amounts each weight counts one. Nothing is sorted but the few weights around the last
    one that belongs to it: the bits of positive floats have the floats' own order, so their first
    bits sort them into bins.
    """
    bins = weights.view(np.int32) >> _BIN_SHIFT
    sums = np.bincount(bins, weights=amounts)[::-1].cumsum()
    place = min(int(np.searchsorted(sums, wanted)), len(sums) - 1)
    last_bin = len(sums) - 1 - place
    around = np.flatnonzero(bins == last_bin)
    # Equal weights stay in the order of their ids.
    around = around[np.argsort(-weights[around], kind="stable")]
    missing = wanted - (sums[place - 1] if place else 0)
    each = np.ones(len(around)) if amounts is None else amounts[around]
    count = int(np.searchsorted(each.cumsum(dtype=np.float64), missing)) + 1
    keep = bins > last_bin
    keep[around[:count]] = True
    return np.flatnonzero(keep)
