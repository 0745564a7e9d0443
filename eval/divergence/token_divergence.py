"""How far two variants' predictions of the same tokens lie apart: pure functions over arrays.

Of every prediction only the likeliest tokens are known. Let S be those that both variants tell of,
p the baseline's probabilities and q the variant's, and all other tokens one outcome, the rest, with
the remainders r = 1 - sum p and s = 1 - sum q. Then

    KL(P || Q) = sum_S p log(p / q) + r log(r / s) + r KL(P given rest || Q given rest)

(chain rule: Cover and Thomas, Elements of Information Theory, 2006, theorem 2.5.3). Computed are
the first two terms. The third is never negative, so the figure is a lower bound whatever the
engines leave out (log sum inequality, ibid. 2.7.1), and what it leaves out is bounded by r times
the divergence within the rest: ``remainder`` says how much probability that concerns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval.divergence.scored_tokens import NO_TOKEN, ScoredTokens

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Log-probabilities come in single precision: a smaller remainder is rounding.
LEAST_REST = 1e-5
# Memory for the comparison of ids of so many tokens at once.
_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class TokenDivergence:
    """Of every token: the divergence in nats, the baseline's remainder, whether both prefer the
    same token, and the variant's negative log-likelihood less the baseline's; ``[tokens]`` each.

    ``text`` is which text the token is of.
    """

    text: Ints
    kl: Floats
    remainder: Floats
    same_first: Floats
    rise: Floats

    def part(self, kept: npt.NDArray[np.bool_]) -> "TokenDivergence":
        """The tokens of a mask ``[tokens]``."""
        return TokenDivergence(
            text=self.text[kept],
            kl=self.kl[kept],
            remainder=self.remainder[kept],
            same_first=self.same_first[kept],
            rise=self.rise[kept],
        )


def token_divergence(baseline: ScoredTokens, variant: ScoredTokens) -> TokenDivergence:
    """Hold a variant's predictions against the baseline's, token by token.

    Raises:
        ValueError: they are not of the same tokens.
    """
    if not np.array_equal(baseline.text, variant.text):
        raise ValueError("the two variants scored different texts")
    parts = [
        _divergence(baseline, variant, slice(start, start + _ROWS))
        for start in range(0, len(baseline.text), _ROWS)
    ]
    kl, remainder = (np.concatenate(it) for it in zip(*parts, strict=True))
    return TokenDivergence(
        text=baseline.text.astype(np.int64),
        kl=kl,
        remainder=remainder,
        same_first=(_first(baseline) == _first(variant)).astype(float),
        rise=baseline.chosen.astype(float) - variant.chosen.astype(float),
    )


def _divergence(
    baseline: ScoredTokens, variant: ScoredTokens, rows: slice
) -> tuple[Floats, Floats]:
    ids = baseline.top_ids[rows]
    met = (ids[:, :, None] == variant.top_ids[rows][:, None, :]) & (ids[:, :, None] != NO_TOKEN)
    known, place = met.any(axis=2), met.argmax(axis=2)
    log_p = np.where(known, baseline.top[rows], 0.0).astype(float)
    found = np.take_along_axis(variant.top[rows], place, axis=1)
    log_q = np.where(known, found, 0.0).astype(float)
    p, q = np.where(known, np.exp(log_p), 0.0), np.where(known, np.exp(log_q), 0.0)
    rest_p, rest_q = (np.maximum(1 - it.sum(axis=1), LEAST_REST) for it in (p, q))
    within = (p * (log_p - log_q)).sum(axis=1)
    return np.maximum(within + rest_p * np.log(rest_p / rest_q), 0.0), rest_p


def _first(scored: ScoredTokens) -> npt.NDArray[np.int32]:
    """The id that is likeliest at every token."""
    best = scored.top.argmax(axis=1)
    found: npt.NDArray[np.int32] = np.take_along_axis(scored.top_ids, best[:, None], axis=1)[:, 0]
    return found


def first_difference(baseline: Sequence[int], variant: Sequence[int]) -> int | None:
    """At which token (from 0) two greedy answers part; None where they are the same."""
    pairs = zip(baseline, variant, strict=True)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), None)
