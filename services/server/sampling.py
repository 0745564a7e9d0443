"""Choosing the next token, and scoring tokens: pure functions over logits.

Logits are float32 arrays as the backend returns them (rows of one value per vocabulary entry);
they are never modified. Log-probabilities are in nats, of the model's own distribution: before
temperature, penalties and bias, as vLLM reports them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]

# Rows scored at once: bounds the temporary arrays to a few MiB for a vocabulary of 128 Ki.
_ROWS_AT_ONCE = 16
# Nucleus sampling sorts this many likeliest tokens first, and the whole vocabulary only if their
# mass does not reach top_p.
_NUCLEUS_GUESS = 256
# Below, the likeliest token is all there is, and float32 would divide by nothing. vLLM's bound.
_GREEDY_BELOW = 1e-5


@dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How a token is drawn; the defaults are OpenAI's (``top_k`` 0 = all tokens)."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def alters_logits(self) -> bool:
        """Whether penalties or biases move the logits before the choice."""
        return bool(self.presence_penalty or self.frequency_penalty or self.logit_bias)


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
) -> Logits:
    """A copy of one row with bias, penalties on generated tokens (``counts``) and bans applied.

    Formula: https://platform.openai.com/docs/guides/text-generation (frequency and presence).
    """
    row = logits.copy()
    for token, bias in parameters.logit_bias.items():
        row[token] += bias
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
    scaled = (logits - logits.max()) / np.float32(parameters.temperature)
    weights = np.exp(scaled, dtype=np.float64)
    if 0 < parameters.top_k < len(weights):
        weights[weights < np.partition(weights, -parameters.top_k)[-parameters.top_k]] = 0.0
    if parameters.top_p < 1:
        kept = _nucleus(weights, parameters.top_p)
        return int(kept[_invert(weights[kept], uniform)])
    return _invert(weights, uniform)


def _invert(weights: NDArray[np.float64], uniform: float) -> int:
    cumulative = weights.cumsum()
    index = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    return min(index, len(weights) - 1)


def _nucleus(weights: NDArray[np.float64], top_p: float) -> NDArray[np.int64]:
    """Indices of the smallest set of likeliest tokens whose mass reaches ``top_p``."""
    wanted = top_p * weights.sum()
    candidates: NDArray[np.int64] = np.arange(len(weights))
    if len(weights) > _NUCLEUS_GUESS:
        guess = np.argpartition(weights, -_NUCLEUS_GUESS)[-_NUCLEUS_GUESS:]
        if weights[guess].sum() >= wanted:
            candidates = guess
    # By weight, then by id, so that equal weights keep one order whatever the partition did.
    order = candidates[np.lexsort((candidates, -weights[candidates]))]
    count = int(np.searchsorted(weights[order].cumsum(), wanted)) + 1
    return order[:count]
