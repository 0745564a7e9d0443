"""Two variants compared round by round: what befell the machine in a round cancels in their ratio.

In a round the variants take turns at every load point, in an order that the next round reverses
(``measure.round_order``), so a drift in a straight line cancels as well. The unit is the round:
its requests share a batch, a cache and a neighbour, so intervals are formed over rounds and never
over the requests within one. Ratios are formed as differences of logarithms, their interval is
Student's. Rounds that were not measured in one go have nothing in common that could cancel; they
are compared as two independent samples (Welch, Biometrika 34, 1947). Pure functions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict
from scipy import stats

from deploy.plan_sections import Slo
from loadtest.anytime import apart, confidence_sequence, each_of_two
from loadtest.intervals import Estimate
from loadtest.records import RequestRecord
from loadtest.stats import CONFIDENCE, Floats
from loadtest.summary import blocks_of, counted, goodput_rate, token_rate

# One round tells nothing of what the next would differ by.
LEAST_ROUNDS = 2
# A round in which requests provably get slower or faster by more than this is not steady.
STEADY = 0.05


@dataclass(frozen=True, kw_only=True)
class RoundFigures:
    """What one round of a variant at one load point brought; rates per second.

    ``started_at`` is the time at which the round began, the same for all variants that took turns
    in it; "" where it is not known. ``e2e_p50_s`` is None where it is infinite, as half failed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    round: int
    started_at: str
    output_tok_per_s: float
    goodput_per_s: float
    e2e_p50_s: float | None


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviations of a round's throughput, as shares of it.

    ``within``: what the requests of a round say of it; None where they are too few.
    ``between``: how the rounds differ. ``paired``: how their ratios to the other variant's rounds
    differ; ``gain``: by how much pairing divides the variance of the ratio, so the time that the
    same certainty takes. Both None where the two were not measured in turns.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    within: float | None
    between: float
    paired: float | None
    gain: float | None


def round_figures(
    records: Sequence[RequestRecord], slo: Slo, started: Mapping[int, str]
) -> list[RoundFigures]:
    """One variant's rounds at one load point, in their order."""
    by_round: dict[int, list[RequestRecord]] = {}
    for record in counted(records):
        by_round.setdefault(record.round, []).append(record)
    return [_figures_of(mine, slo, started.get(n, "")) for n, mine in sorted(by_round.items())]


def _figures_of(records: list[RequestRecord], slo: Slo, started_at: str) -> RoundFigures:
    latencies = [math.inf if r.error else r.e2e_s for r in records if not r.intruder]
    middle = float(np.median([it for it in latencies if it is not None] or [math.inf]))
    return RoundFigures(
        round=records[0].round,
        started_at=started_at,
        output_tok_per_s=token_rate(records),
        goodput_per_s=goodput_rate(records, slo),
        e2e_p50_s=middle if math.isfinite(middle) else None,
    )


Figure = Callable[[RoundFigures], float | None]


def tokens(found: RoundFigures) -> float:
    """Output tokens per second."""
    return found.output_tok_per_s


def in_turns(one: Sequence[RoundFigures], other: Sequence[RoundFigures]) -> bool:
    """Whether two variants have rounds in which they took turns."""
    return len(_common(one, other)) >= LEAST_ROUNDS


def log_ratios(
    one: Sequence[RoundFigures], other: Sequence[RoundFigures], figure: Figure = tokens
) -> list[float]:
    """The logarithm of the ratio of each round in which both took turns; empty without such."""
    mine, theirs = _logarithms(one, figure), _logarithms(other, figure)
    if mine is None or theirs is None:
        return []
    return [mine[number] - theirs[number] for number in _common(one, other)]


def ratio(
    one: Sequence[RoundFigures],
    other: Sequence[RoundFigures],
    figure: Figure = tokens,
    *,
    anytime: bool = False,
    confidence: float = CONFIDENCE,
) -> Estimate | None:
    """``figure`` of one variant over the other's: geometric mean over rounds, with its interval.

    ``anytime``: the number of rounds was not fixed beforehand (``anytime.py``). Means that were
    not measured in turns then lie as far apart as either may be from its own (Bonferroni). None
    where a round has not the figure, or has it as 0: no ratio describes that.
    """
    mine, theirs = _logarithms(one, figure), _logarithms(other, figure)
    if mine is None or theirs is None:
        return None
    differences = np.array(log_ratios(one, other, figure))
    if len(differences) >= LEAST_ROUNDS:
        interval = confidence_sequence if anytime else student_interval
        return _exponential(interval(differences, confidence))
    one_side, other_side = (np.array(list(side.values())) for side in (mine, theirs))
    of_both = _anytime_interval if anytime else _welch_interval
    return _exponential(of_both(one_side, other_side, confidence))


def _logarithms(rounds: Sequence[RoundFigures], figure: Figure) -> dict[int, float] | None:
    values = {found.round: figure(found) for found in rounds}
    known = {number: math.log(it) for number, it in values.items() if it}
    return known if known and len(known) == len(rounds) else None


def _common(one: Sequence[RoundFigures], other: Sequence[RoundFigures]) -> list[int]:
    """The rounds that both went through at the same time."""
    times = {found.round: found.started_at for found in other}
    return [r.round for r in one if r.started_at and times.get(r.round) == r.started_at]


def student_interval(values: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of independent values with Student's interval; no bounds of fewer than two."""
    return _t_interval(float(values.mean()), _error(values), len(values) - 1.0, confidence)


def _welch_interval(one: Floats, other: Floats, confidence: float) -> Estimate:
    """The difference of two means with unequal variances, by Welch and Satterthwaite."""
    value = float(one.mean() - other.mean())
    if min(len(one), len(other)) < LEAST_ROUNDS:
        return Estimate(value=value)
    errors = np.array([_error(side) ** 2 for side in (one, other)])
    spare = np.array([len(side) - 1.0 for side in (one, other)])
    freedom = errors.sum() ** 2 / (errors**2 / spare).sum() if errors.any() else spare.sum()
    return _t_interval(value, math.sqrt(errors.sum()), float(freedom), confidence)


def _anytime_interval(one: Floats, other: Floats, confidence: float) -> Estimate:
    """The difference of two means, of as many values each as somebody liked."""
    each = each_of_two(confidence)
    return apart(confidence_sequence(one, each), confidence_sequence(other, each))


def _error(values: Floats) -> float:
    """The standard error of a mean; 0 of a single value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _t_interval(value: float, error: float, freedom: float, confidence: float) -> Estimate:
    if freedom < 1:
        return Estimate(value=value)
    reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    return Estimate(value=value, low=value - reach, high=value + reach)


def _exponential(found: Estimate) -> Estimate:
    if found.bounds is None:
        return Estimate(value=math.exp(found.value))
    low, high = (math.exp(bound) for bound in found.bounds)
    return Estimate(value=math.exp(found.value), low=low, high=high)


def noise(
    one: Sequence[RoundFigures],
    other: Sequence[RoundFigures],
    records: Sequence[RequestRecord],
) -> Noise | None:
    """The noise of ``one``, whose ``records`` are given, and of its ratio to ``other``.

    None of fewer than ``LEAST_ROUNDS`` rounds, or where a round brought nothing.
    """
    mine, theirs = _logarithms(one, tokens), _logarithms(other, tokens)
    if mine is None or theirs is None or len(mine) < LEAST_ROUNDS:
        return None
    common = _common(one, other) if one is not other else []
    paired = gain = None
    if len(common) >= LEAST_ROUNDS:
        sides = [np.array([side[number] for number in common]) for side in (mine, theirs)]
        paired = float(np.std(sides[0] - sides[1], ddof=1))
        apart = sum(float(side.var(ddof=1)) for side in sides)
        gain = apart / paired**2 if paired > 0 else None
    between = float(np.std(list(mine.values()), ddof=1))
    return Noise(within=_within(records), between=between, paired=paired, gain=gain)


def settling(records: Sequence[RequestRecord]) -> Estimate | None:
    """How many times as long the later half of a round's requests took as the earlier half.

    The geometric mean over rounds with Student's interval over them; None where no round has two
    waves of requests, one per stream: those of one wave wait for each other's prompts, and the
    last of them takes longer on a server that is as warm as it gets.
    """
    by_round: dict[int, list[RequestRecord]] = {}
    for record in sorted(counted(records), key=lambda it: it.send_s):
        by_round.setdefault(record.round, []).append(record)
    shifts = [shift for mine in by_round.values() if (shift := _shift(mine)) is not None]
    return _exponential(student_interval(np.array(shifts))) if shifts else None


def _shift(records: Sequence[RequestRecord]) -> float | None:
    wave = records[0].point.block
    half = len(records) // (2 * wave) * wave
    sooner, later = (sum(r.cycle_s for r in part) for part in (records[:half], records[-half:]))
    return math.log(later / sooner) if half and sooner > 0 and later > 0 else None


def is_steady(found: Estimate | None) -> bool:
    """Whether ``settling`` does not prove that a round still changed by more than ``STEADY``."""
    if found is None or found.low is None or found.high is None:
        return True
    return found.low <= 1 + STEADY and found.high >= 1 / (1 + STEADY)


def _within(records: Sequence[RequestRecord]) -> float | None:
    """What the requests alone let a round's rate vary by: root mean square over the rounds."""
    by_round: dict[int, list[float]] = {}
    for block in blocks_of(counted(records)):
        by_round.setdefault(block[0].round, []).append(token_rate(block))
    errors = [
        _error(np.array(rates)) / float(np.mean(rates))
        for rates in by_round.values()
        if len(rates) > 1 and np.mean(rates) > 0
    ]
    return math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else None
