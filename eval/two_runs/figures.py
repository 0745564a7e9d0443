"""One figure of one variant in two runs: by how much it changed, and how sure that is.

Pure functions. The intervals of two independent figures are put together (MOVER: Zou and Donner,
Statistics in Medicine 27, 2008; of two proportions it is Newcombe's). Throughput is compared by its
rounds (Welch). Two sessions on one machine differ by more than the rounds of one: what that may be
is allowed before a speed counts as changed. Where rounds went on until they told enough, their
throughput is compared by intervals that allow for it; of latencies nothing is judged then.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from eval.schema import LoadComparison, VariantComparison
from eval.two_runs.change_file import Change, Metric
from loadtest.intervals import Estimate
from loadtest.pairing import RoundFigures, ratio
from loadtest.stats import CONFIDENCE, upper_tail, z_value

# By how much speeds of one machine may differ from one session to the next.
TOLERANCE = 0.05
_STEPS = 40
Interval = Callable[[float], Estimate | None]
_ENDED_EARLY = "rounds went on until they told enough, for which latencies have no interval"


def independent_difference(after: Estimate, before: Estimate) -> Estimate:
    """``after`` minus ``before`` of two independent samples (MOVER); no bounds without theirs."""
    value = after.value - before.value
    if after.bounds is None or before.bounds is None:
        return Estimate(value=value)
    (low, high), (before_low, before_high) = after.bounds, before.bounds
    return Estimate(
        value=value,
        low=value - math.hypot(after.value - low, before_high - before.value),
        high=value + math.hypot(high - after.value, before.value - before_low),
    )


def independent_ratio(after: Estimate, before: Estimate) -> Estimate | None:
    """``after`` over ``before``, the same on logarithms; None where one has none."""
    ends = (*after.known, *before.known)
    if not all(math.isfinite(end) and end > 0 for end in ends):
        return None
    found = independent_difference(_mapped(after, math.log), _mapped(before, math.log))
    return _mapped(found, math.exp)


def _mapped(found: Estimate, function: Callable[[float], float]) -> Estimate:
    low, high = (None if end is None else function(end) for end in (found.low, found.high))
    return Estimate(value=function(found.value), low=low, high=high)


def normal_p_value(found: Estimate, allowed: float, confidence: float) -> float | None:
    """Of "it is no farther from 0 than allowed", two-sided, by the interval's nearer half."""
    near = found.low if found.value > 0 else found.high
    if near is None:
        return None
    beyond = abs(found.value) - allowed
    error = abs(found.value - near) / z_value(confidence)
    if beyond <= 0:
        return 1.0
    return 2 * upper_tail(beyond / error) if error > 0 else 0.0


def least_error(interval: Interval, low: float, high: float) -> float | None:
    """The p-value of "it lies within ``low`` and ``high``"; None without an interval.

    What is left out by the widest interval that still keeps clear of that range; ``interval`` is
    of a confidence.
    """

    def is_clear(confidence: float) -> bool:
        found = interval(confidence)
        bounds = None if found is None else found.bounds
        return bounds is not None and (bounds[0] > high or bounds[1] < low)

    found = interval(CONFIDENCE)
    if found is None or found.bounds is None:
        return None
    below, above = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (below + above) / 2
        below, above = (middle, above) if is_clear(middle) else (below, middle)
    return 1 - below


def rounds_p_value(
    after: Sequence[RoundFigures],
    before: Sequence[RoundFigures],
    allowed: float,
    *,
    anytime: bool = False,
) -> float | None:
    """Of "the ratio lies within 1 / (1 + allowed) and 1 + allowed"; None without an interval.

    ``anytime``: the number of rounds was not fixed beforehand.
    """

    def interval(confidence: float) -> Estimate | None:
        return ratio(after, before, anytime=anytime, confidence=confidence)

    return least_error(interval, 1 / (1 + allowed), 1 + allowed)


def throughput_change(
    variant: str, levels: tuple[LoadComparison, LoadComparison], tolerance: float, why: str
) -> Change | None:
    """Output tokens per second at one load; None where a round brought none."""
    after, before = levels
    anytime = after.anytime or before.anytime
    found = ratio(after.rounds, before.rounds, anytime=anytime)
    if found is None:
        return None
    told = _speed(
        variant,
        "output_tok_per_s",
        levels,
        (after.output_tok_per_s, before.output_tok_per_s),
        found,
        tolerance,
    )
    p_value = (
        None if why else rounds_p_value(after.rounds, before.rounds, tolerance, anytime=anytime)
    )
    return told.model_copy(update={"p_value": p_value, "why": why})


def latency_change(
    variant: str,
    metric: Metric,
    levels: tuple[LoadComparison, LoadComparison],
    figures: tuple[Estimate | None, Estimate | None],
    tolerance: float,
    why: str,
) -> Change | None:
    """A median latency at one load; None where one run has none."""
    after, before = figures
    found = None if after is None or before is None else independent_ratio(after, before)
    if after is None or before is None or found is None:
        return None
    told = _speed(variant, metric, levels, (after, before), found, tolerance)
    if any(level.anytime for level in levels):
        bare = {"change": Estimate(value=found.value), "why": why or _ENDED_EARLY}
        return told.model_copy(update=bare)
    p_value = normal_p_value(_mapped(found, math.log), math.log1p(tolerance), CONFIDENCE)
    return told.model_copy(update={"p_value": None if why else p_value, "why": why})


def _speed(
    variant: str,
    metric: Metric,
    levels: tuple[LoadComparison, LoadComparison],
    figures: tuple[Estimate, Estimate],
    found: Estimate,
    tolerance: float,
) -> Change:
    return Change(
        variant=variant,
        metric=metric,
        load=levels[0].point.label,
        before=figures[1],
        after=figures[0],
        change=found,
        paired=False,
        units=min(len(level.rounds) for level in levels),
        allowed=tolerance,
        margin=tolerance,
        p_value=None,
    )


def size_change(
    after: VariantComparison, before: VariantComparison, metric: Metric, tolerance: float
) -> Change | None:
    """Bytes of the weights or of memory; None where one run does not know, or nothing to divide.

    Weights are counted, so their change is certain; memory was read once in either run.
    """
    sizes = [getattr(side, metric) for side in (after, before)]
    if not all(sizes):
        return None
    now, then = (Estimate(value=float(size)) for size in sizes)
    quotient = now.value / then.value
    told = Change(
        variant=after.variant,
        metric=metric,
        before=then,
        after=now,
        change=Estimate(value=quotient),
        paired=False,
        units=None,
        allowed=tolerance,
        margin=tolerance,
        p_value=None,
        why="read once in either run",
    )
    if metric == "memory_bytes":
        return told
    exact = replace(told.change, low=quotient, high=quotient)
    changed = not 1 / (1 + tolerance) <= quotient <= 1 + tolerance
    return told.model_copy(update={"change": exact, "p_value": 0.0 if changed else 1.0, "why": ""})
