"""What an interval says about a margin. Pure functions.

A decision reads the bound on the margin's side, so its one-sided error is (1 - confidence) / 2:
stricter than it has to be, and the interval that a chart shows is the interval that decided.
"""

import math
from typing import Literal

from eval.anytime_evidence import reach
from loadtest.intervals import Estimate
from loadtest.stats import normal_quantile, upper_tail, z_value

Decision = Literal["equal_or_better", "worse", "undecided"]

POWER = 0.8


def decide_non_inferiority(loss: Estimate, margin: float, *, noise_floor: float = 0.0) -> Decision:
    """Whether a loss (positive is bad) stays within a margin.

    ``equal_or_better``: the whole interval lies at or below the margin. ``worse``: all of it lies
    beyond the margin even after the noise floor is taken off, because what two passes of the
    baseline differ by is not charged to a variant. The noise floor never helps to prove. A loss
    without an interval proves nothing.
    """
    if loss.low is None or loss.high is None:
        return "undecided"
    if loss.high <= margin:
        return "equal_or_better"
    return "worse" if loss.low - noise_floor > margin else "undecided"


def items_needed(
    items: int,
    loss: Estimate,
    margin: float,
    confidence: float,
    power: float = POWER,
    proof: float | None = None,
    *,
    anytime: bool = False,
) -> int | None:
    """How many items would prove the loss to lie within the margin, with the given power.

    ``confidence`` is that of the interval, ``proof`` the one that is to be reached (the same
    unless several variants share one error rate). The standard error is read from the interval and
    shrinks with the root of the items:
    n = items * ((z_proof + z_power) * standard error / (margin - loss))^2. None where the measured
    loss is at or beyond the margin: more items would rather prove the opposite. ``anytime``: asked
    in blocks until it is decided, which takes about so many on average.
    """
    room = margin - loss.value
    if room <= 0:
        return None
    error = standard_error(loss, confidence, anytime=anytime)
    away = standard_errors(proof or confidence, anytime=anytime)
    away += 0.0 if anytime else normal_quantile(power)
    return max(1, math.ceil(items * (away * error / room) ** 2))


def standard_errors(confidence: float, *, anytime: bool = False) -> float:
    """How many standard errors an interval of that confidence reaches to either side."""
    return reach((1 - confidence) / 2) if anytime else z_value(confidence)


def standard_error(found: Estimate, confidence: float, *, anytime: bool = False) -> float:
    """What an interval of that confidence says of its value's standard error."""
    assert found.low is not None
    assert found.high is not None
    return (found.high - found.low) / (2 * standard_errors(confidence, anytime=anytime))


def chance_to_tell(
    loss: float, margin: float, spread: float, within: float, beyond: float
) -> float:
    """The probability that a loss to come is told from the margin; 1 where it does not vary.

    It lies around ``loss`` by a standard error of ``spread``, and is told ``within`` the margin or
    ``beyond`` it where it lies that far from it (the predictive power of Spiegelhalter, Freedman
    and Blackburn, Controlled Clinical Trials 7, 1986).
    """
    if spread == 0:
        return 1.0
    is_within = upper_tail((loss - (margin - within)) / spread)
    return is_within + upper_tail((margin + beyond - loss) / spread)
