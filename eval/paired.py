"""One task of one variant against the baseline, item by item: pure functions over samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.plan_sections import Objectives
from eval.answering import Counting, answering
from eval.anytime_evidence import (
    Sums,
    Tally,
    changed_at_all,
    loss_of_answers,
    loss_per_weight,
    share_of_right,
    sums_of,
)
from eval.margins import Decision, decide_non_inferiority
from eval.samples import Sample, pair
from eval.schema import Flips, NoSignal, Stratum, TaskComparison
from eval.task_score import TaskScore
from loadtest.intervals import Estimate
from loadtest.stats import (
    bootstrap_ratio,
    mcnemar_exact,
    paired_proportion_interval,
    wilson_interval,
    z_value,
)

Pairs = Sequence[tuple[Sample, Sample]]
"""(variant, baseline) of the same item."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Variant minus baseline, with its interval where the items allow one, and the flips.

    ``sums`` are those of the losses, where answers are not right or wrong and the number of items
    was not fixed beforehand (``anytime``).
    """

    change: Estimate
    flips: Flips | None
    sums: Sums | None = None
    anytime: bool = False


def is_accuracy(samples: Sequence[Sample]) -> bool:
    """Whether the items have answers that are right or wrong."""
    return all(sample.score is not None for sample in samples)


def score_estimate(
    samples: Sequence[Sample], confidence: float, *, anytime: bool = False
) -> Estimate:
    """A task's score: share answered right (Wilson), or nats per token (bootstrap of documents).

    ``anytime``: how many there are was not fixed beforehand (``anytime_evidence.py``).
    """
    if not is_accuracy(samples):
        nll, tokens = _nll(samples), [float(sample.tokens or 0) for sample in samples]
        return _of_sums(nll, tokens, confidence, anytime)
    if all(sample.correct is not None for sample in samples):
        right = sum(bool(sample.correct) for sample in samples)
        interval = share_of_right if anytime else wilson_interval
        return interval(right, len(samples), confidence)
    scores = [sample.score or 0.0 for sample in samples]
    return _of_sums(scores, [1.0] * len(scores), confidence, anytime)


def _of_sums(
    values: Sequence[float], weights: Sequence[float], confidence: float, anytime: bool
) -> Estimate:
    if anytime:
        return loss_per_weight(sums_of(values, weights), confidence)
    return bootstrap_ratio(values, weights, confidence)


def _nll(samples: Sequence[Sample]) -> list[float]:
    return [sample.nll or 0.0 for sample in samples]


def _changes(pairs: Pairs) -> tuple[list[float], list[float]]:
    """Every item's difference, variant minus baseline, and its weight: 1, or its tokens."""
    if is_accuracy([one for one, _ in pairs]):
        return [(v.score or 0.0) - (b.score or 0.0) for v, b in pairs], [1.0] * len(pairs)
    changes = [(v.nll or 0.0) - (b.nll or 0.0) for v, b in pairs]
    return changes, [float(other.tokens or 0) for _, other in pairs]


def difference(pairs: Pairs, confidence: float, *, anytime: bool = False) -> Difference:
    """Variant minus baseline over the items that both answered.

    Right-or-wrong answers: Tango's score interval and McNemar's flips. Fractional scores and
    log-likelihoods: paired bootstrap, the document being the unit that is resampled. ``anytime``:
    how many there are was not fixed beforehand; then all is as in ``anytime_evidence.py``.
    """
    mine, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    if is_accuracy(mine) and all(s.correct is not None for s in (*mine, *theirs)):
        to_wrong = sum(bool(b.correct) and not v.correct for v, b in pairs)
        to_right = sum(bool(v.correct) and not b.correct for v, b in pairs)
        tally = Tally(lost=to_wrong, gained=to_right, items=len(pairs))
        if anytime:
            change, p_value = -loss_of_answers(tally, confidence), changed_at_all(tally)
        else:
            change = paired_proportion_interval(to_wrong, to_right, len(pairs), confidence)
            p_value = mcnemar_exact(to_wrong, to_right)
        flips = Flips(to_wrong=to_wrong, to_right=to_right, p_value=p_value)
        return Difference(change=change, flips=flips, anytime=anytime)
    changes, weights = _changes(pairs)
    change = _of_sums(changes, weights, confidence, anytime)
    if not anytime:
        return Difference(change=change, flips=None)
    losses = [-it for it in changes] if is_accuracy(mine) else changes
    return Difference(change=change, flips=None, sums=sums_of(losses, weights), anytime=True)


def compare_strata(
    samples: Sequence[Sample], pairs: Pairs, confidence: float, *, anytime: bool = False
) -> dict[str, Stratum]:
    """The parts of a task that has several, each by itself; those of no part are left out."""
    parts: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.stratum is not None:
            parts.setdefault(sample.stratum, []).append(sample)
    both: dict[str, list[tuple[Sample, Sample]]] = {}
    for one, other in pairs:
        both.setdefault(one.stratum or "", []).append((one, other))
    return {
        name: Stratum(
            items=len(both.get(name, mine)),
            score=score_estimate(mine, confidence, anytime=anytime),
            difference=(
                difference(both[name], confidence, anytime=anytime).change if name in both else None
            ),
        )
        for name, mine in (parts.items() if len(parts) > 1 else ())
    }


def noise_floor(
    first: Sequence[Sample], second: Sequence[Sample], confidence: float
) -> float | None:
    """What asking the same weights again can change of a task's figure; None without a common item.

    From the differences d_i of the items between two passes of the baseline, over the weights'
    sum W (items, or tokens): the larger of |sum d_i| / W, which is how far the two passes came
    apart, and z sqrt(sum d_i^2) / W, which is how far noise of this size per item takes a sum of
    signs that fall at random. The first alone would call it quiet where many answers flip both
    ways.
    """
    pairs = pair(second, first)
    if not pairs:
        return None
    changes, weights = _changes(pairs)
    spread = math.sqrt(sum(change * change for change in changes))
    return max(abs(sum(changes)), z_value(confidence) * spread) / sum(weights)


def _is_significant(found: Difference, noise: float, confidence: float) -> bool:
    """Whether a change is neither chance (at the confidence) nor as small as the noise floor."""
    if abs(found.change.value) <= noise:
        return False
    if found.flips is not None:
        return found.flips.p_value < 1 - confidence
    return found.change.bounds is not None and not found.change.covers(0)


def as_loss(difference: Estimate, metric: str) -> Estimate:
    """A difference as a loss: positive is bad, whichever way the metric points."""
    return -difference if metric == "accuracy" else difference


def compare_task(
    samples: Sequence[Sample],
    baseline: Sequence[Sample] | None,
    score: TaskScore,
    objectives: Objectives,
    noise: float | None,
    silent: NoSignal | None = None,
    *,
    anytime: bool = False,
) -> TaskComparison:
    """Compare one task; ``baseline`` is None for the baseline itself.

    ``silent`` is why the task has no signal, None where it has one; ``anytime`` whether it was
    asked in blocks, until it was decided.

    Raises:
        ValueError: the two were asked different questions.
    """
    margin = objectives.accuracy_margin if score.metric == "accuracy" else objectives.nll_margin
    pairs = pair(samples, baseline) if baseline is not None else []
    if baseline is not None and not pairs:
        raise ValueError(f"{samples[0].task}: the variant and the baseline share no item")
    confidence = objectives.confidence
    found = difference(pairs, confidence, anytime=anytime) if pairs else None
    return TaskComparison(
        metric=score.metric,
        items=len(pairs) or len(samples),
        score=score_estimate(samples, confidence, anytime=anytime),
        difference=None if found is None else found.change,
        noise_floor=noise,
        flips=None if found is None else found.flips,
        margin=margin,
        verdict=verdict_of(
            None if found is None else found.change, score.metric, margin, noise or 0.0, silent
        ),
        significant=found is not None and _is_significant(found, noise or 0.0, confidence),
        truncated_prompts=int(score.details.get("truncated_prompts", 0)),
        no_signal=silent,
        seconds=score.details.get("seconds"),
        strata=compare_strata(samples, pairs, confidence, anytime=anytime),
        answering=answering(samples, pairs, Counting(confidence=confidence, anytime=anytime)),
        anytime=anytime,
        sums=None if found is None else found.sums,
    )


def verdict_of(
    change: Estimate | None, metric: str, margin: float, noise: float, silent: NoSignal | None
) -> Decision | Literal["no_signal"]:
    """The decision, where the task can prove it; a loss shows even where all was right."""
    decision: Decision = "equal_or_better"
    if change is not None:
        decision = decide_non_inferiority(as_loss(change, metric), margin, noise_floor=noise)
    if silent is None or (silent.kind == "at_ceiling" and decision == "worse"):
        return decision
    return "no_signal"
