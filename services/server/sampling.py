"""Scoring tokens, and what moves logits before a token is chosen: pure functions over logits.

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
    def is_greedy(self) -> bool:
        """Whether the likeliest token is all there is to draw."""
        return self.temperature < _GREEDY_BELOW

    @property
    def cuts_tail(self) -> bool:
        """Whether a draw leaves out the unlikeliest tokens; the likeliest alone needs no tail."""
        is_cut = self.top_p < 1 or self.top_k > 0 or self.min_p > 0
        return is_cut and not self.is_greedy

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
