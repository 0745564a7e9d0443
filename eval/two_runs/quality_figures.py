"""One task of one variant in two runs: by how much it changed, and how sure that is.

Pure functions. Answers are paired item by item where both runs asked the same words; else the
intervals of two independent scores are put together. Where either run asked until something was
decided, everything is by evidence that allows for it (``eval/anytime_evidence.py``), and two
independent scores lie as far apart as either may be from its own (Bonferroni): errors add up in
squares only where the number of items was fixed beforehand.
"""

from collections.abc import Sequence

from eval.anytime_evidence import Tally, changed_by_more
from eval.paired import Difference, difference, score_estimate
from eval.samples import Sample
from eval.schema import TaskComparison
from eval.two_runs.change_file import Change
from eval.two_runs.figures import independent_difference, least_error, normal_p_value
from loadtest.anytime import apart, each_of_two
from loadtest.intervals import Estimate
from loadtest.stats import mcnemar_exact, tango_score, upper_tail

_NO_SIGNAL = "no signal: the baseline proves nothing"


def same_items(after: Sequence[Sample], before: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """(after, before) of the items that both runs asked, word for word."""
    earlier = {(sample.item, sample.prompt_sha256): sample for sample in before}
    keyed = (((sample.item, sample.prompt_sha256), sample) for sample in after)
    return [(sample, earlier[key]) for key, sample in keyed if key in earlier]


def quality_change(
    variant: str,
    task: str,
    results: tuple[TaskComparison, TaskComparison],
    samples: tuple[Sequence[Sample], Sequence[Sample]],
    confidence: float,
) -> Change:
    """One task of one variant; ``results`` and ``samples`` are (after, before)."""
    after, before = results
    pairs = same_items(*samples)
    floors = [result.noise_floor or 0.0 for result in results]
    anytime = any(result.anytime for result in results)
    told = Change(
        variant=variant,
        metric=after.metric,
        task=task,
        before=before.score,
        after=after.score,
        change=independent_difference(after.score, before.score),
        paired=bool(pairs),
        units=min(after.items, before.items),
        allowed=max(floors),
        margin=after.margin,
        p_value=None,
    )
    if after.metric != before.metric:
        return told.model_copy(update={"why": f"it was scored by {before.metric} before"})
    silent = next((result.no_signal for result in results if result.no_signal), None)
    if pairs:
        told = _paired(told, pairs, confidence, anytime)
    elif anytime:
        told = _apart_anytime(told, samples, confidence)
    else:
        p_value = normal_p_value(told.change, told.allowed, confidence)
        told = told.model_copy(update={"p_value": p_value})
    # A task without signal proves no equality; that it was answered otherwise can be proven still.
    return told if silent is None else told.model_copy(update={"why": _NO_SIGNAL})


def _paired(
    told: Change, pairs: Sequence[tuple[Sample, Sample]], confidence: float, anytime: bool
) -> Change:
    found = difference(pairs, confidence, anytime=anytime)
    now, then = ([pair[side] for pair in pairs] for side in (0, 1))
    return told.model_copy(
        update={
            "before": score_estimate(then, confidence, anytime=anytime),
            "after": score_estimate(now, confidence, anytime=anytime),
            "change": found.change,
            "units": len(pairs),
            "p_value": _paired_p_value(found, len(pairs), told.allowed, confidence),
        }
    )


def _paired_p_value(
    found: Difference, items: int, allowed: float, confidence: float
) -> float | None:
    """Of "it changed by no more than is allowed"; ``confidence`` is that of its interval."""
    if found.sums is not None:
        return changed_by_more(found.sums, allowed)
    if found.flips is None:
        return normal_p_value(found.change, allowed, confidence)
    if abs(found.change.value) <= allowed:
        return 1.0
    flips = found.flips.to_wrong, found.flips.to_right
    if found.anytime:
        return changed_by_more(Tally(lost=flips[0], gained=flips[1], items=items), allowed)
    return flips_p_value(*flips, items, allowed)


def _apart_anytime(
    told: Change, samples: tuple[Sequence[Sample], Sequence[Sample]], confidence: float
) -> Change:
    """Two scores of other questions each; nothing is judged where the answers were not kept."""
    if not all(samples):
        return told.model_copy(update={"change": Estimate(value=told.change.value)})

    def interval(level: float) -> Estimate:
        return _scores_apart(*samples, level)

    p_value = least_error(interval, -told.allowed, told.allowed)
    return told.model_copy(update={"change": interval(confidence), "p_value": p_value})


def _scores_apart(after: Sequence[Sample], before: Sequence[Sample], confidence: float) -> Estimate:
    each = each_of_two(confidence)
    return apart(*(score_estimate(side, each, anytime=True) for side in (after, before)))


def flips_p_value(to_wrong: int, to_right: int, items: int, allowed: float) -> float:
    """Of "no more of the items turned one way than are allowed", two-sided.

    McNemar's where nothing is allowed; else Tango's score at what is (``loadtest.stats``).
    """
    if allowed == 0:
        return mcnemar_exact(to_wrong, to_right)
    more, fewer = max(to_wrong, to_right), min(to_wrong, to_right)
    return min(1.0, 2 * upper_tail(-tango_score(more, fewer, items, -allowed)))
