"""How many items settle a task, and what so many can settle: before a run, and after it.

All from the normal distribution of a paired difference over m items of which a share d changes its
answer: its standard error is sqrt(d / m), so a loss is told from a margin that lies
(z + z_power) sqrt(d / m) away (Miller, Adding Error Bars to Evals, arXiv 2411.00640, section 5).
Pure functions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy.plan_sections import Objectives
from eval.decision.families import shared_confidence
from eval.margins import POWER, chance_to_tell, items_needed, standard_error, standard_errors
from loadtest.intervals import Estimate
from loadtest.stats import normal_quantile

# What share of its answers a 4-bit variant changes where no earlier run tells.
USUAL_FLIPS = 0.1


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The error that one variant may be wrong with, where several are compared at once.

    ``anytime``: they are asked in blocks, each until it is decided.
    """

    confidence: float
    variants: int
    anytime: bool = False

    @property
    def z(self) -> float:
        """How many standard errors off the margin the first of Holm's steps wants."""
        proof = shared_confidence(self.confidence, self.variants)
        return standard_errors(proof, anytime=self.anytime)

    @property
    def away(self) -> float:
        """How many lie between a loss and the margin that it is told from, with usual power."""
        return self.z + (0.0 if self.anytime else normal_quantile(POWER))


def provable_margin(items: int, shared: Shared, flips: float = USUAL_FLIPS) -> float:
    """The least margin that is proven, with the usual power, of a variant that loses nothing."""
    return shared.away * math.sqrt(flips / items)


def items_to_settle(items: int, loss: Estimate, margin: float, shared: Shared) -> int | None:
    """How many items prove a loss to be on its side of the margin; None where it is on it."""
    proof = shared_confidence(shared.confidence, shared.variants)
    inside, limit = (loss, margin) if loss.value <= margin else (-loss, -margin)
    return items_needed(
        items, inside, limit, shared.confidence, proof=proof, anytime=shared.anytime
    )


def chance_to_settle(items: int, more: int, loss: Estimate, margin: float, shared: Shared) -> float:
    """The probability that ``more`` fresh items prove the loss within the margin, or beyond it.

    The true loss is not known either: it lies around the measured one by that one's standard
    error, and the next measurement around the true one by its own.
    """
    error = standard_error(loss, shared.confidence, anytime=shared.anytime)
    next_error = error * math.sqrt(items / more)
    away = shared.z * next_error
    return chance_to_tell(loss.value, margin, math.hypot(error, next_error), away, away)


def told_before(
    items: Mapping[str, int], objectives: Objectives, variants: int, *, anytime: bool = False
) -> Iterator[str]:
    """What each task's items can prove of answers that are right or wrong, before any is asked."""
    shared = Shared(confidence=objectives.confidence, variants=variants, anytime=anytime)
    chance = "half of the time" if anytime else "80 % power"
    for task, count in items.items():
        least, asked = provable_margin(count, shared), objectives.accuracy_margin
        yield (
            f"{task}: {count:,} items prove an accuracy margin of {100 * least:.1f} points of a "
            f"variant that changes {100 * USUAL_FLIPS:.0f} % of the answers and loses none "
            f"({chance}, {variants} compared): {_enough(count, least, asked)}"
        )


def _enough(count: int, least: float, asked: float) -> str:
    if least <= asked:
        return f"enough for the plan's {100 * asked:g}"
    if asked == 0:
        return "no number of them proves the plan's 0"
    return (
        f"the plan's {100 * asked:g} take about {math.ceil(count * (least / asked) ** 2):,} items"
    )
