"""Which changes are real, among all that are tested. Pure functions.

Every test of the two runs belongs to one family: with the plan's confidence not one of them is
called a change that is none (Holm, ``eval/decision/families.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from eval.decision.families import holm
from eval.two_runs.change_file import MORE_IS_BETTER, QUALITY, Change, Finding

# How the reason of a figure begins that was disturbed.
VOID = "void"


def is_loss(change: Change) -> bool:
    """Whether the figure moved to the worse side, by however little."""
    neutral = 0.0 if change.metric in QUALITY else 1.0
    return (change.change.value < neutral) == (change.metric in MORE_IS_BETTER)


def judge_changes(changes: Sequence[Change], confidence: float) -> list[Change]:
    """Each with its finding; the order stays."""
    family = {
        str(place): change.p_value
        for place, change in enumerate(changes)
        if is_tested(change) and change.p_value is not None
    }
    real = holm(family, 1 - confidence)
    certain = {
        str(place)
        for place, it in enumerate(changes)
        if it.p_value == 0 and str(place) not in family
    }
    return [_judged(it, str(place) in real | certain) for place, it in enumerate(changes)]


def is_tested(change: Change) -> bool:
    """Whether a statistical test decides; the size of weights is certain."""
    return change.p_value is not None and change.metric != "weight_bytes"


def _judged(change: Change, real: bool) -> Change:
    return change.model_copy(update={"corrected": real, "finding": _finding(change, real)})


def _finding(change: Change, real: bool) -> Finding:
    if change.p_value is None:
        return "void" if change.why.startswith(VOID) else "not_judged"
    if real:
        return "worse" if is_loss(change) else "better"
    if change.why:
        return "not_judged"
    return "same" if _within_margin(change) else "undecided"


def _within_margin(change: Change) -> bool:
    bounds = change.change.bounds
    if bounds is None:
        return False
    if change.metric in QUALITY:
        return -change.margin <= bounds[0] and bounds[1] <= change.margin
    return 1 / (1 + change.margin) <= bounds[0] and bounds[1] <= 1 + change.margin


def outcome_of(
    changes: Sequence[Change], lost: Mapping[str, str]
) -> Literal["worse", "void", "not_worse"]:
    """What all findings come to; ``lost`` is what was measured before and is not now.

    Where something is lost or disturbed, or nothing could be judged, nothing is known to be well.
    """
    findings = {change.finding for change in changes}
    if "worse" in findings:
        return "worse"
    return "void" if lost or "void" in findings or findings <= {"not_judged"} else "not_worse"
