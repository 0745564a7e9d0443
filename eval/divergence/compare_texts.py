"""A variant's divergence from the baseline beside that of the baseline asked again. Pure functions.

The text is the unit: tokens of one text depend on each other. In every text the variant and the
second pass are held against the same first pass, so their difference is as often above 0 as below
where the variant is the baseline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eval.divergence.divergence_figures import WHOLE, Divergence, Floor, GreedyAnswers, Reading
from eval.divergence.scored_tokens import ScoredTokens
from eval.divergence.token_divergence import (
    Floats,
    TokenDivergence,
    first_difference,
    token_divergence,
)
from loadtest.intervals import Estimate
from loadtest.stats import bootstrap_ratio, wilson_interval

# A divergence ranks variants only where it surely is so many times the floor.
CLEAR = 2.0
WORST = 0.1


@dataclass(frozen=True, kw_only=True)
class Apart:
    """One pass against the baseline's first: its tokens, and where its greedy answers part.

    ``parted`` has an entry per answer, None where both are the same; ``answer_text`` says of which
    text it is.
    """

    tokens: TokenDivergence
    parted: Sequence[int | None]
    answer_text: Sequence[int]

    def part(self, numbers: npt.NDArray[np.int64]) -> "Apart":
        """Only the texts of these numbers."""
        kept = [place for place, it in enumerate(self.answer_text) if it in numbers]
        return Apart(
            tokens=self.tokens.part(np.isin(self.tokens.text, numbers)),
            parted=[self.parted[it] for it in kept],
            answer_text=[self.answer_text[it] for it in kept],
        )


def apart(baseline: ScoredTokens, other: ScoredTokens) -> Apart:
    """Hold a pass against the baseline's first.

    Raises:
        ValueError: they are not of the same texts.
    """
    if not np.array_equal(baseline.answer_text, other.answer_text):
        raise ValueError("the two variants answered different texts")
    pairs = zip(baseline.answers.tolist(), other.answers.tolist(), strict=True)
    return Apart(
        tokens=token_divergence(baseline, other),
        parted=[first_difference(one, it) for one, it in pairs],
        answer_text=baseline.answer_text.tolist(),
    )


def mean_divergence(found: Apart, confidence: float) -> Estimate:
    """Nats per token over all texts, with its interval."""
    return _per_token(found.tokens, found.tokens.kl, confidence)


def compare_texts(
    variant: Apart, again: Apart | None, strata: Sequence[str], confidence: float
) -> dict[str, Divergence]:
    """All texts together, then each stratum; ``strata`` names that of every text.

    ``again`` is the baseline's second pass; without one there is no floor, and nothing ranks.
    """
    names = np.array(strata)
    numbers = {WHOLE: np.arange(len(names))}
    if len(set(strata)) > 1:
        numbers |= {name: np.flatnonzero(names == name) for name in dict.fromkeys(strata)}
    parts: Mapping[str, tuple[Apart, Apart | None]] = {
        name: (variant.part(found), None if again is None else again.part(found))
        for name, found in numbers.items()
    }
    return {name: _compare(*it, confidence) for name, it in parts.items() if len(it[0].tokens.kl)}


def _compare(mine: Apart, again: Apart | None, confidence: float) -> Divergence:
    tokens = mine.tokens
    kl = _per_token(tokens, tokens.kl, confidence)
    floor = None if again is None else _floor(again)
    excess = None if again is None else _per_token(tokens, tokens.kl - again.tokens.kl, confidence)
    ratio = _exponential(_per_token(tokens, tokens.rise, confidence))
    return Divergence(
        texts=len(np.unique(tokens.text)),
        tokens=len(tokens.kl),
        kl=kl,
        p99=float(np.quantile(tokens.kl, 0.99)),
        worst_tenth=_worst(tokens.kl),
        same_first=_per_token(tokens, tokens.same_first, confidence),
        perplexity_ratio=ratio,
        remainder=float(tokens.remainder.mean()),
        answers=_answers(mine, confidence),
        floor=floor,
        excess=excess,
        reading=reading_of(excess, floor, ratio),
    )


def _per_token(tokens: TokenDivergence, values: Floats, confidence: float) -> Estimate:
    """A figure per token with its interval over texts."""
    texts, place = np.unique(tokens.text, return_inverse=True)
    sums = np.bincount(place, weights=values, minlength=len(texts))
    return bootstrap_ratio(sums, np.bincount(place, minlength=len(texts)), confidence)


def _floor(again: Apart) -> Floor:
    kl, parted = again.tokens.kl, again.parted
    return Floor(
        kl=float(kl.mean()),
        p99=float(np.quantile(kl, 0.99)),
        worst_tenth=_worst(kl),
        same_first=float(again.tokens.same_first.mean()),
        same_answers=sum(it is None for it in parted) / len(parted) if parted else None,
    )


def _worst(kl: Floats) -> float:
    count = max(1, round(WORST * len(kl)))
    return float(np.sort(kl)[-count:].mean())


def _answers(mine: Apart, confidence: float) -> GreedyAnswers | None:
    if not mine.parted:
        return None
    same = sum(it is None for it in mine.parted)
    ordered = sorted(math.inf if it is None else it + 1 for it in mine.parted)
    middle = ordered[(len(ordered) - 1) // 2]
    return GreedyAnswers(
        answers=len(mine.parted),
        same=wilson_interval(same, len(mine.parted), confidence),
        parted_at=int(middle) if math.isfinite(middle) else None,
    )


def reading_of(excess: Estimate | None, floor: Floor | None, ratio: Estimate) -> Reading:
    """What a divergence says: nothing, that something differs, or how much."""
    if excess is None or floor is None or excess.low is None:
        return "screen"
    if excess.low <= 0:
        return "floor"
    ranks = excess.low > (CLEAR - 1) * floor.kl and not ratio.covers(1)
    return "apart" if ranks else "screen"


def _exponential(found: Estimate) -> Estimate:
    if found.low is None or found.high is None:
        return Estimate(value=math.exp(found.value))
    return Estimate(value=math.exp(found.value), low=math.exp(found.low), high=math.exp(found.high))
