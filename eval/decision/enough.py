"""Whether a task has been asked enough of a variant: after every block, and why. Pure functions.

A task is asked on until its loss is proven to be within the margin, at the error that the first of
Holm's steps leaves it (so it stays proven whatever the other variants turn out to be), or proven
to be beyond it. One that fails fails its variant, whose other tasks then need no answer. A task
whose remaining items would hardly decide it is given up, and one of which none remain stays as it
is: that proves nothing, so it costs power and no error. Where either leaves a task undecided, its
variant cannot pass any more, so only those of its other tasks are asked on that may fail it.
Evidence holds at any number of items (``eval/anytime_evidence.py``), so looking costs none either.
"""

import math
from collections.abc import Mapping

from deploy.plan_sections import Objectives
from eval.anytime_evidence import reach
from eval.decision.families import half_error
from eval.decision.proofs import task_p_value
from eval.margins import chance_to_tell, standard_error
from eval.paired import as_loss
from eval.schema import Stopped, TaskComparison

# The first look, and by what share what was asked grows from look to look.
FIRST_BLOCK, GROWTH = 50, 0.25
# With less probability that the items left decide it, a task is given up.
HOPELESS = 0.05


def next_bound(asked: int) -> int:
    """Up to how many items the block after so many goes: 50, 100, … 250, 312, 390, …

    The same for every variant, as what stands in a block may decide its examples.
    """
    bound = 0
    while bound <= asked:
        bound += max(FIRST_BLOCK, int(GROWTH * bound))
    return bound


def last_bound(asked: int) -> int:
    """The greatest bound that so many items reach: whence a block that was cut is asked again."""
    bound = 0
    while (following := next_bound(bound)) <= asked:
        bound = following
    return bound


def stops(
    results: Mapping[str, TaskComparison],
    available: Mapping[str, int],
    objectives: Objectives,
    variants: int,
) -> dict[str, Stopped]:
    """The tasks of one variant that need no more items, of which so many are ``available``.

    ``variants`` are compared with the baseline.
    """
    own = {
        task: _stop(result, available[task], objectives, variants)
        for task, result in results.items()
    }
    elsewhere = {task: _elsewhere(result, results, own) for task, result in results.items()}
    found = {task: own[task] or elsewhere[task] for task in results}
    return {task: why for task, why in found.items() if why is not None}


def _elsewhere(
    result: TaskComparison,
    results: Mapping[str, TaskComparison],
    own: Mapping[str, Stopped | None],
) -> Stopped | None:
    """Why a task needs no answer for what other tasks of its variant have come to."""
    if any(it.verdict == "worse" for it in results.values()):
        return "failed_elsewhere"
    stays_open = any(own[task] and it.verdict == "undecided" for task, it in results.items())
    return "open_elsewhere" if stays_open and not _may_fail(result) else None


def _may_fail(result: TaskComparison) -> bool:
    """Whether the loss so far lies beyond the margin; also where it is not known yet."""
    if result.difference is None:
        return True
    return as_loss(result.difference, result.metric).value > result.margin


def _stop(
    result: TaskComparison, available: int, objectives: Objectives, variants: int
) -> Stopped | None:
    error = half_error(objectives.confidence) / max(1, variants)
    if result.verdict == "worse":
        return "worse"
    sure = task_p_value(result, objectives.confidence) <= error
    if result.verdict == "equal_or_better" and sure:
        return "proven"
    if result.items >= available:
        return "all_asked"
    chance = chance_within(result, available, objectives.confidence, error)
    return "hopeless" if chance < HOPELESS else None


def chance_within(result: TaskComparison, available: int, confidence: float, error: float) -> float:
    """The probability that all items decide a task of which some are asked; 1 where unknown.

    The mean over all n items lies around that over the m asked ones, which are among them, by the
    standard error of the latter times sqrt(1 - m / n).
    """
    if result.no_signal is not None or result.difference is None:
        return 1.0
    loss = as_loss(result.difference, result.metric)
    if loss.bounds is None:
        return 1.0
    now = error_of_loss(result, confidence)
    last = now * math.sqrt(result.items / available)
    spread = now * math.sqrt(1 - result.items / available)
    within, beyond = reach(error) * last, reach((1 - confidence) / 2) * last
    return chance_to_tell(loss.value, result.margin, spread, within, beyond)


def error_of_loss(result: TaskComparison, confidence: float) -> float:
    """The standard error of a task's loss: by the flips, one more of them than were seen; else by
    the interval."""
    if result.flips is not None:
        flips = result.flips.to_wrong + result.flips.to_right + 1
        return math.sqrt(flips) / result.items
    assert result.difference is not None
    return standard_error(result.difference, confidence, anytime=True)
