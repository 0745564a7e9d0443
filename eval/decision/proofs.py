"""How surely an objective is met: one-sided p-values of "it is missed". Pure functions.

A variant passes by an intersection-union test: each objective is tested at the whole error rate,
and "missed" must be rejected for all, so its own p-value is the largest of theirs (Berger,
Technometrics 24, 1982). No correction over objectives is needed, and none is made.
"""

from collections.abc import Iterable

from eval.anytime_evidence import Tally, evidence_within, p_value, ratio_evidence_within
from eval.paired import as_loss
from eval.schema import TaskComparison
from loadtest.intervals import Estimate
from loadtest.stats import tango_score, upper_tail, z_value

SURE, UNKNOWN = 0.0, 1.0


def task_p_value(result: TaskComparison, confidence: float) -> float:
    """Of "the task's loss is the margin or more"; ``confidence`` is that of its interval.

    Answers that are right or wrong: Tango's score test. Else the normal distribution whose spread
    the interval's upper half gives. The baseline loses nothing to itself; without an interval
    nothing is known. What was asked until it was decided is judged by evidence that allows for it.
    """
    if result.difference is None:
        return SURE
    if result.anytime:
        return p_value(_evidence(result))
    if result.flips is not None:
        flips = (result.flips.to_wrong, result.flips.to_right)
        return upper_tail(tango_score(*flips, result.items, -result.margin))
    loss = as_loss(result.difference, result.metric)
    return _below(loss, result.margin, confidence)


def _evidence(result: TaskComparison) -> float:
    """Against "the loss is the margin or more", as a logarithm."""
    if result.flips is not None:
        lost, gained = result.flips.to_wrong, result.flips.to_right
        tally = Tally(lost=lost, gained=gained, items=result.items)
        return evidence_within(tally, result.margin)
    return ratio_evidence_within(result.sums, result.margin) if result.sums is not None else 0.0


def share_p_value(share: Estimate, wanted: float, confidence: float) -> float:
    """Of "the share of requests that meet the objectives is less than ``wanted``"."""
    return _below(-share, -wanted, confidence)


def _below(found: Estimate, limit: float, confidence: float) -> float:
    if found.high is None:
        return UNKNOWN
    error = (found.high - found.value) / z_value(confidence)
    if error <= 0:
        return SURE if found.value <= limit else UNKNOWN
    return upper_tail((limit - found.value) / error)


def together(p_values: Iterable[float]) -> float:
    """Of "at least one objective is missed"; certainty where there is none."""
    return max(p_values, default=SURE)
