"""What a load test can see, told before and while it runs, and whether it has seen enough.

A plan with ``load.stop_early`` stops after the round by which every variant's throughput at the
compared load is known to differ from the baseline's, or to be the same within
``load.equal_within``. As that is looked at after every round, its intervals are confidence
sequences (``anytime.py``), there and in the report.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np

from deploy.plan import Plan
from deploy.plan_sections import Slo
from loadtest.anytime import confidence_sequence, critical_t, is_decided
from loadtest.load_file import RoundFile
from loadtest.load_kinds import pick, points_of
from loadtest.load_point import LoadPoint
from loadtest.pairing import RoundFigures, log_ratios, round_figures
from loadtest.power import POWER, USUAL_NOISE, detectable_share
from loadtest.records import read_records
from loadtest.target import Target
from loadtest.validity import undisturbed

# Of fewer rounds the noise is a guess.
LEAST_FOR_NOISE = 3
# Of fewer rounds a confidence sequence has no bounds.
LEAST_ANYTIME = next(rounds for rounds in count(2) if math.isfinite(critical_t(rounds)))
# So many points a search needs, before it may end.
LEAST_SEARCHED = 3

Differences = Mapping[str, Sequence[float]]
"""By variant: the logarithms of its throughput over the baseline's, a round each."""


def budget_words(plan: Plan, noise: float | None, seconds_left: float | None = None) -> str:
    """What the plan's rounds can see at a noise of paired rounds (None: as usual), and their time.

    Before the first round the time is a lower bound: of a slow variant a turn takes longer.
    """
    load = plan.load
    if seconds_left is None:
        points = LEAST_SEARCHED if points_of(load)[0].is_searched else len(load.amounts)
        turns = load.rounds * len(plan.variants) * points
        time = f"at least {turns * (load.warmup_s + load.duration_s) / 60:.1f} min"
    else:
        time = f"about {seconds_left / 60:.1f} min left"
    if load.rounds < 2:
        return f"1 round tells no difference between variants: set load.rounds; {time}"
    known = USUAL_NOISE if noise is None else noise
    share = detectable_share(known, load.rounds, anytime=load.stop_early)
    if math.isinf(share):
        return (
            f"{load.rounds} rounds decide nothing with load.stop_early: set load.rounds to "
            f"{LEAST_ANYTIME} or more; {time}"
        )
    told = "assumed" if noise is None else "measured"
    return (
        f"{load.rounds} rounds tell a difference of {100 * share:.1f} % in throughput with "
        f"{100 * POWER:.0f} % probability (noise of paired rounds "
        f"{100 * known:.1f} %, {told}); {time}"
    )


def differences(plan: Plan, targets: Mapping[str, Target], rounds: int) -> Differences:
    """What the first so many rounds say of every variant but the baseline."""
    if plan.baseline not in targets:
        return {}
    point = pick(_measured(targets[plan.baseline], plan), plan.objectives.load)
    if point is None:
        return {}
    limit = plan.load.neighbour_limit
    found = {name: _figures(target, point, rounds, limit) for name, target in targets.items()}
    baseline = found.pop(plan.baseline)
    return {name: log_ratios(mine, baseline) for name, mine in found.items()}


def _measured(target: Target, plan: Plan) -> list[LoadPoint]:
    """At which points of the plan's load a target has been measured."""
    stored = target.read(RoundFile, target.round_file(0, "json"))
    met = {level.point for level in stored.levels} if stored is not None else set()
    return [point for point in points_of(plan.load) if point in met]


def _figures(
    target: Target, point: LoadPoint, rounds: int, neighbour_limit: float
) -> list[RoundFigures]:
    """The rounds at a point that count, as the report counts them."""
    found = {n: target.read(RoundFile, target.round_file(n, "json")) for n in range(rounds)}
    stored = {number: it for number, it in found.items() if it is not None}
    legs = {n: leg for n, it in stored.items() for leg in it.levels if leg.point == point}
    figures: list[RoundFigures] = []
    for number in undisturbed(legs, neighbour_limit):
        records = read_records(target.round_file(number, "parquet"))
        mine = [record for record in records if record.point == point]
        figures += round_figures(mine, Slo(), {number: stored[number].started_at})
    return figures


def noise_of(found: Differences) -> float | None:
    """The noise of paired rounds, root mean square over the variants; None of too few rounds."""
    spreads = [np.std(it, ddof=1) for it in found.values() if len(it) >= LEAST_FOR_NOISE]
    return math.sqrt(sum(s * s for s in spreads) / len(spreads)) if spreads else None


def all_decided(found: Differences, equal_within: float) -> bool:
    """Whether of every variant it is known how its throughput compares with the baseline's."""
    margin = math.log1p(equal_within)
    return bool(found) and all(
        len(values) > 1 and is_decided(confidence_sequence(values), margin)
        for values in found.values()
    )
