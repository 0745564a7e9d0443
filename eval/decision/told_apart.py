"""Whether two variants differ in the preferred figure by more than the measurement's error.

Speeds are told apart round by round, so what slowed the machine for all decides nothing. Pure
functions.
"""

from eval.decision.judging import Candidate
from loadtest.intervals import Estimate
from loadtest.pairing import Figure, ratio
from loadtest.stats import CONFIDENCE, z_value


def are_equal(one: Estimate, other: Estimate, widened: float = 1.0) -> bool:
    """Whether two figures cannot be told apart: their intervals overlap, or one has none.

    ``widened`` stretches both intervals about their values.
    """
    mine, theirs = (_stretched(it, widened) for it in (one, other))
    if mine is None or theirs is None:
        return True
    return mine[0] <= theirs[1] and theirs[0] <= mine[1]


def _stretched(found: Estimate, widened: float) -> tuple[float, float] | None:
    if found.low is None or found.high is None:
        return None
    low, high = found.value - found.low, found.high - found.value
    return found.value - widened * low, found.value + widened * high


def _figure(prefer: str) -> Figure:
    """The preferred figure of a round."""
    if prefer == "goodput":
        return lambda found: found.goodput_per_s
    return lambda found: found.e2e_p50_s


def cannot_be_told_apart(
    one: Candidate, other: Candidate, prefer: str, confidence: float = CONFIDENCE
) -> bool:
    """Whether two candidates are equal in the preferred figure.

    Speeds are told apart by the ratio of their rounds: its interval holds 1, or there is none.
    Where there are no rounds, or one brought nothing, and of memory, by their own intervals.
    """
    if one.score is None or other.score is None:
        return False
    mine, theirs = (() if c.level is None else c.level.rounds for c in (one, other))
    anytime = one.level is not None and one.level.anytime
    found = (
        None
        if prefer == "memory"
        else ratio(mine, theirs, _figure(prefer), anytime=anytime, confidence=confidence)
    )
    if found is None:
        return are_equal(one.score, other.score, z_value(confidence) / z_value(CONFIDENCE))
    return found.bounds is None or found.covers(1)


def beats(one: Candidate, other: Candidate, prefer: str) -> bool:
    """Whether one is better than the other by more than the measurement's interval."""
    if one.score is None or other.score is None or cannot_be_told_apart(one, other, prefer):
        return False
    higher = one.score.value > other.score.value
    return higher if prefer == "goodput" else not higher
