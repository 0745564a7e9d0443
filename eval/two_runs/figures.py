"""One figure of one variant in two runs: by how much it changed, and how sure that is.

Pure functions. Quality is paired item by item where both runs asked the same words; else, and for
latencies, the intervals of two independent figures are put together (MOVER: Zou and Donner,
Statistics in Medicine 27, 2008; of two proportions it is Newcombe's). Throughput is compared by its
rounds (Welch). Two sessions on one machine differ by more than the rounds of one: what that may be
is allowed before a speed counts as changed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from eval.paired import difference, score_estimate
from eval.samples import Sample
from eval.schema import LoadComparison, TaskComparison, VariantComparison
from eval.two_runs.change_file import Change, Metric
from loadtest.intervals import Estimate
from loadtest.pairing import RoundFigures, ratio
from loadtest.stats import CONFIDENCE, mcnemar_exact, tango_score, upper_tail, z_value

# By how much speeds of one machine may differ from one session to the next.
TOLERANCE = 0.05
_STEPS = 40
_NO_SIGNAL = "no signal: the baseline proves nothing"


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


def rounds_p_value(
    after: Sequence[RoundFigures], before: Sequence[RoundFigures], allowed: float
) -> float | None:
    """Of "the ratio lies within 1 / (1 + allowed) and 1 + allowed"; None without an interval.

    What is left out by the widest interval that still keeps clear of that range.
    """

    def is_clear(confidence: float) -> bool:
        found = ratio(after, before, confidence=confidence)
        bounds = None if found is None else found.bounds
        return bounds is not None and (bounds[0] > 1 + allowed or bounds[1] < 1 / (1 + allowed))

    found = ratio(after, before)
    if found is None or found.bounds is None:
        return None
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_clear(middle) else (low, middle)
    return 1 - low


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
    if not pairs:
        p_value = normal_p_value(told.change, told.allowed, confidence)
        told = told.model_copy(update={"p_value": p_value})
    else:
        told = _paired(told, pairs, confidence)
    # A task without signal proves no equality; that it was answered otherwise can be proven still.
    return told if silent is None else told.model_copy(update={"why": _NO_SIGNAL})


def _paired(told: Change, pairs: Sequence[tuple[Sample, Sample]], confidence: float) -> Change:
    found = difference(pairs, confidence)
    now, then = ([pair[side] for pair in pairs] for side in (0, 1))
    if found.flips is None:
        p_value = normal_p_value(found.change, told.allowed, confidence)
    elif abs(found.change.value) <= told.allowed:
        p_value = 1.0
    else:
        p_value = flips_p_value(
            found.flips.to_wrong, found.flips.to_right, len(pairs), told.allowed
        )
    return told.model_copy(
        update={
            "before": score_estimate(then, confidence),
            "after": score_estimate(now, confidence),
            "change": found.change,
            "units": len(pairs),
            "p_value": p_value,
        }
    )


def flips_p_value(to_wrong: int, to_right: int, items: int, allowed: float) -> float:
    """Of "no more of the items turned one way than are allowed", two-sided.

    McNemar's where nothing is allowed; else Tango's score at what is (``loadtest.stats``).
    """
    if allowed == 0:
        return mcnemar_exact(to_wrong, to_right)
    more, fewer = max(to_wrong, to_right), min(to_wrong, to_right)
    return min(1.0, 2 * upper_tail(-tango_score(more, fewer, items, -allowed)))


def throughput_change(
    variant: str, levels: tuple[LoadComparison, LoadComparison], tolerance: float, why: str
) -> Change | None:
    """Output tokens per second at one load; None where a round brought none."""
    after, before = levels
    found = ratio(after.rounds, before.rounds)
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
    p_value = None if why else rounds_p_value(after.rounds, before.rounds, tolerance)
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
