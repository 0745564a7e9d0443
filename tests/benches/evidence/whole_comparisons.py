"""Whole comparisons of ten variants of which everything is known: how often is the verdict wrong?

A world says what each variant truly loses and how fast it truly is. A run of it is drawn, judged by
the product's own decision, and held against the world: a recommendation is wrong where the variant
truly misses the margin, or is said to beat one that truly passes and is faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from deploy.plan_sections import Objectives, Slo
from eval.decision.choice import Choice, choose
from eval.paired import verdict_of
from eval.schema import (
    ComparisonFile,
    Flips,
    LoadComparison,
    TaskComparison,
    VariantComparison,
)
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from loadtest.pairing import RoundFigures, ratio
from loadtest.stats import mcnemar_exact, paired_proportion_interval

MARGIN, FLIPS, ROUNDS = 0.03, 0.04, 6
ITEMS = {"one": 2400, "two": 1200, "three": 1200}
OBJECTIVES = Objectives(slo=Slo(e2e_s=1.0), accuracy_margin=MARGIN)
BASELINE, VARIANTS = "v0", 10
PAIRED_NOISE = 0.017


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true: each variant's loss on each task (share of items), and its speed."""

    name: str
    losses: Sequence[Mapping[str, float]]
    speeds: Sequence[float]


def _world(name: str, worst: Sequence[float], speeds: Sequence[float]) -> World:
    """Variants that lose ``worst`` on one task, the tasks in turn, and nothing on the others."""
    tasks = list(ITEMS)
    losses = [
        {task: loss if place == number % len(tasks) else 0.0 for place, task in enumerate(tasks)}
        for number, loss in enumerate(worst)
    ]
    return World(name=name, losses=losses, speeds=speeds)


WORLDS = (
    _world("nine fast variants at the margin", [0.0, *[MARGIN] * 9], [1.0, *[2.0] * 9]),
    World(
        name="nine fast variants at the margin on one task of many items",
        losses=[{}, *[{"one": MARGIN}] * 9],
        speeds=[1.0, *[2.0] * 9],
    ),
    _world(
        "some at the margin and fast, some good",
        [0.0, *[MARGIN] * 4, *[0.0] * 5],
        [1.0, *[2.0] * 4, *[1.5] * 5],
    ),
    _world("all good and equally fast", [0.0] * 10, [1.0] * 10),
    _world("all good, one a little faster", [0.0] * 10, [1.0] * 9 + [1.01]),
)


def _task(rng: Generator, items: int, loss: float) -> TaskComparison:
    flips = max(FLIPS, loss)
    lost, gained = (flips + loss) / 2, (flips - loss) / 2
    drawn = rng.multinomial(items, [lost, gained, 1 - lost - gained])
    to_wrong, to_right = int(drawn[0]), int(drawn[1])
    change = paired_proportion_interval(to_wrong, to_right, items, OBJECTIVES.confidence)
    p_value = mcnemar_exact(to_wrong, to_right)
    return TaskComparison(
        metric="accuracy",
        items=items,
        score=Estimate(value=0.7),
        difference=change,
        noise_floor=0.0,
        flips=Flips(to_wrong=to_wrong, to_right=to_right, p_value=p_value),
        margin=MARGIN,
        verdict=verdict_of(change, "accuracy", MARGIN, 0.0, None),
        significant=p_value < 1 - OBJECTIVES.confidence,
    )


def _own(items: int) -> TaskComparison:
    """The baseline's own."""
    return TaskComparison(
        metric="accuracy",
        items=items,
        score=Estimate(value=0.7),
        difference=None,
        noise_floor=0.0,
        flips=None,
        margin=MARGIN,
        verdict="equal_or_better",
        significant=False,
    )


def _load(rng: Generator, speed: float, neighbour: Sequence[float]) -> list[RoundFigures]:
    noise = rng.normal(0, PAIRED_NOISE, ROUNDS) / np.sqrt(2)
    speeds = [speed * float(np.exp(it + own)) for it, own in zip(neighbour, noise, strict=True)]
    return [
        RoundFigures(
            round=number,
            started_at=f"at {number}",
            output_tok_per_s=64 * it,
            goodput_per_s=it,
            e2e_p50_s=1 / it,
        )
        for number, it in enumerate(speeds)
    ]


def _level(rounds: list[RoundFigures], theirs: list[RoundFigures]) -> LoadComparison:
    found = ratio(rounds, theirs) if rounds is not theirs else Estimate(value=1, low=1, high=1)
    mean = float(np.mean([it.goodput_per_s for it in rounds]))
    assert found is not None
    return LoadComparison(
        point=ClosedLoop(16),
        requests=400,
        errors=0,
        ttft_s={},
        tpot_s={},
        e2e_s={},
        output_tok_per_s=Estimate(value=64 * mean),
        output_tok_per_s_ratio=found,
        goodput_per_s=Estimate(value=mean, low=0.8 * mean, high=1.2 * mean),
        goodput_share=Estimate(value=1.0, low=0.99, high=1.0),
        cost_per_million_output_tokens=None,
        rounds=tuple(rounds),
        paired=True,
    )


def draw(world: World, rng: Generator) -> ComparisonFile:
    """One run of a world."""
    neighbour = rng.normal(0, 0.2, ROUNDS)
    rounds = [_load(rng, speed, list(neighbour)) for speed in world.speeds]
    variants = [
        VariantComparison(
            variant=f"v{number}",
            recipe="bf16",
            engine="vllm",
            bits_per_weight=16,
            artifact_bytes=10 + number,
            weight_bytes=10 + number,
            held_weight_bytes=None,
            memory_bytes=10 + number,
            quality={
                task: _task(rng, items, world.losses[number].get(task, 0.0))
                if number
                else _own(items)
                for task, items in ITEMS.items()
            },
            load=[_level(rounds[number], rounds[0])],
            saturated_client=False,
            refused_tasks={},
        )
        for number in range(len(world.speeds))
    ]
    return ComparisonFile(
        run="r", plan="p", model="m", baseline=BASELINE, variants=variants, attribution={}
    )


def is_wrong(world: World, found: Choice) -> bool:
    """Whether the recommendation is false of the world."""
    if found.chosen is None:
        return False
    passes = [all(loss < MARGIN for loss in losses.values()) for losses in world.losses]
    chosen = int(found.chosen.name[1:])
    if not passes[chosen]:
        return True
    alike = {chosen, *(int(c.name[1:]) for c in found.equal)}
    beaten = {int(c.name[1:]) for c in found.passing} - alike
    return any(passes[it] and world.speeds[it] > world.speeds[chosen] for it in beaten)


def wrong_share(world: World, simulations: int, seed: int) -> tuple[float, float]:
    """The shares of runs whose recommendation is false, and that recommend anything new."""
    rng = np.random.default_rng(seed)
    found = [choose(draw(world, rng), OBJECTIVES) for _ in range(simulations)]
    told = [it.chosen is not None and it.chosen.name != BASELINE for it in found]
    return float(np.mean([is_wrong(world, it) for it in found])), float(np.mean(told))
