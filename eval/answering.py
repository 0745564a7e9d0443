"""What a variant's written answers come to: outcomes, lengths, and what a right one costs.

Answers are of natural length: each ends where the model ends it, or at its task's limit. Pure
functions over samples of a task whose answers are written.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from eval.anytime_evidence import loss_per_weight, sums_of
from eval.outcomes import OUTCOMES
from eval.samples import Sample
from loadtest.intervals import Estimate
from loadtest.stats import bootstrap_ratio


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answering(_Figures):
    """Written answers, of one task or of several.

    ``outcomes`` counts them by what became of them (``eval/outcomes.py``). ``tokens`` is their mean
    length; ``inflation`` how many times as many tokens the variant writes as the baseline to the
    same questions, ``inflation_alike`` to those that both answer right or both wrong, so at equal
    accuracy. ``tokens_per_right`` are all tokens over the right answers; None without a right one.
    No intervals of fewer answers than a bootstrap takes. ``anytime``: how many answers there are
    was not fixed beforehand, so the intervals are as in ``eval/anytime_evidence.py``.
    """

    anytime: bool = False
    outcomes: dict[str, int]
    tokens: Estimate
    inflation: Estimate | None
    inflation_alike: Estimate | None
    tokens_per_right: Estimate | None


class WrittenAnswers(Answering):
    """All written answers of a variant, over all its tasks, and what a right one costs.

    Costs are at the load at which speeds are compared: ``seconds_per_right`` is the endpoint's
    time, tokens over its output tokens per second at that load; ``price_per_right`` in the plan's
    currency, ``joules_per_right`` what its GPUs draw. None where the load test has no figure that
    counts, or no answer is right. Where the number of answers was not fixed beforehand
    (``anytime``), costs have no intervals, and of several tasks nothing has one: each task counts
    by the items that it has, however many were asked, and no evidence holds for such a sum.
    """

    seconds_per_right: Estimate | None = None
    price_per_right: Estimate | None = None
    joules_per_right: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What tokens cost at a load: output tokens per second, per hour, and joules per token."""

    tok_per_s: Estimate | None
    price_per_hour: float | None
    joules_per_token: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Counting:
    """How figures of answers are formed at a confidence.

    ``anytime``: how many answers there are was not fixed beforehand. ``shares`` are then, of
    several tasks, how many of a task's items each of its answers stands for: how far each was asked
    must not decide what they come to together, for which there is no interval.
    """

    confidence: float
    anytime: bool = False
    shares: Mapping[str, float] = field(default_factory=dict)

    def ratio(
        self, values: Sequence[float], weights: Sequence[float], samples: Sequence[Sample]
    ) -> Estimate:
        """The values' sum over the weights', which are those of the samples."""
        if self.shares:
            each = [self.shares[sample.task] for sample in samples]
            total = math.fsum(one * weight for one, weight in zip(each, weights, strict=True))
            value = math.fsum(one * it for one, it in zip(each, values, strict=True)) / total
            return Estimate(value=value)
        if self.anytime:
            return loss_per_weight(sums_of(values, weights), self.confidence)
        return bootstrap_ratio(values, weights, self.confidence)


def are_written(samples: Sequence[Sample]) -> bool:
    """Whether the answers were written, and their lengths are known."""
    return bool(samples) and all(it.output_tokens is not None for it in samples)


def answering(
    samples: Sequence[Sample], pairs: Sequence[tuple[Sample, Sample]], counting: Counting
) -> Answering | None:
    """What the answers come to; ``pairs`` (variant, baseline) are empty for the baseline itself.

    None where the answers are not written.
    """
    if not are_written(samples):
        return None
    counts = Counter(sample.outcome for sample in samples)
    tokens = _tokens(samples)
    return Answering(
        anytime=counting.anytime,
        outcomes={name: counts[name] for name in OUTCOMES if counts[name]},
        tokens=counting.ratio(tokens, [1.0] * len(tokens), samples),
        inflation=inflation(pairs, counting),
        inflation_alike=inflation(answered_alike(pairs), counting),
        tokens_per_right=per_right(samples, counting),
    )


def answered_alike(pairs: Sequence[tuple[Sample, Sample]]) -> list[tuple[Sample, Sample]]:
    """The questions that both answer right, or both wrong."""
    return [(one, other) for one, other in pairs if one.correct == other.correct]


def per_right(samples: Sequence[Sample], counting: Counting) -> Estimate | None:
    """Tokens of all answers over the right ones; None where none is right.

    A resample without a right answer has no such figure, so there is no interval where so few are
    right that one may come up.
    """
    right = [sample.score or 0.0 for sample in samples]
    total = sum(right)
    if total <= 0:
        return None
    found = counting.ratio(_tokens(samples), right, samples)
    return Estimate(value=found.value) if total < _LEAST_RIGHT else found


# So many right answers, that a resample holds none with a probability of less than 1e-4.
_LEAST_RIGHT = 10


def _tokens(samples: Sequence[Sample]) -> list[float]:
    return [float(sample.output_tokens or 0) for sample in samples]


def inflation(pairs: Sequence[tuple[Sample, Sample]], counting: Counting) -> Estimate | None:
    """How many times as many tokens the variant writes to the same questions; None without any."""
    known = [(v, b) for v, b in pairs if None not in (v.output_tokens, b.output_tokens)]
    mine, theirs = _tokens([v for v, _ in known]), _tokens([b for _, b in known])
    return counting.ratio(mine, theirs, [v for v, _ in known]) if sum(theirs) > 0 else None


def with_costs(found: Answering, costs: Costs) -> WrittenAnswers:
    """The answers with what a right one costs."""
    tokens, speed, price = found.tokens_per_right, costs.tok_per_s, costs.price_per_hour
    if tokens is not None and found.anytime:
        # Errors add up in squares where they are normal, as at a time fixed beforehand.
        tokens = Estimate(value=tokens.value)
    seconds = quotient(tokens, speed) if tokens and speed and speed.value > 0 else None
    return WrittenAnswers(
        **dict(found),
        seconds_per_right=seconds,
        price_per_right=scaled(seconds, price / 3600) if seconds and price else None,
        joules_per_right=product(tokens, costs.joules_per_token)
        if tokens and costs.joules_per_token
        else None,
    )


def quotient(one: Estimate, other: Estimate) -> Estimate:
    """The quotient of two positive figures that were measured independently.

    Errors of logarithms add up in squares, each side by itself (delta method).
    """
    value = one.value / other.value
    if not (_is_positive(one) and _is_positive(other)):
        return Estimate(value=value)
    assert one.low is not None
    assert one.high is not None
    assert other.low is not None
    assert other.high is not None
    below = math.hypot(math.log(one.value / one.low), math.log(other.high / other.value))
    above = math.hypot(math.log(one.high / one.value), math.log(other.value / other.low))
    return Estimate(value=value, low=value * math.exp(-below), high=value * math.exp(above))


def product(one: Estimate, other: Estimate) -> Estimate:
    """The product of two such figures."""
    inverse = Estimate(
        value=1 / other.value,
        low=1 / other.high if other.high else None,
        high=1 / other.low if other.low else None,
    )
    return quotient(one, inverse)


def scaled(found: Estimate, by: float) -> Estimate:
    """A figure in another unit."""
    low, high = (None if it is None else by * it for it in (found.low, found.high))
    return Estimate(value=by * found.value, low=low, high=high)


def _is_positive(found: Estimate) -> bool:
    return found.value > 0 and found.low is not None and found.low > 0 and found.high is not None
