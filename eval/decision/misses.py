"""By how much a variant misses what is asked: the measure that orders those that do not pass.

An objective that is just met counts 1: a loss of twice the margin, twice the memory, or twice the
share of requests that may be late count 2. Pure functions.
"""

import math
from collections.abc import Iterator

from deploy.plan_sections import Objectives
from eval.paired import as_loss
from eval.schema import LoadComparison, TaskComparison, VariantComparison

# The share of requests that must meet every latency objective.
SLO_SHARE = 0.95
GIB = 1 << 30


def _loss_in_margins(result: TaskComparison) -> float:
    silent = result.no_signal is not None and result.verdict != "worse"
    if result.difference is None or silent:
        return 0.0
    loss = as_loss(result.difference, result.metric).value
    if result.margin > 0:
        return loss / result.margin
    return math.inf if loss > 0 else 0.0


def _each(
    variant: VariantComparison, level: LoadComparison | None, objectives: Objectives
) -> Iterator[float]:
    yield from (_loss_in_margins(result) for result in variant.quality.values())
    if objectives.memory_gib is not None and variant.memory_bytes is not None:
        yield variant.memory_bytes / GIB / objectives.memory_gib
    if level is not None and not variant.why_void:
        yield (1 - level.goodput_share.value) / (1 - SLO_SHARE)


def worst_miss(
    variant: VariantComparison, level: LoadComparison | None, objectives: Objectives
) -> float:
    """The objective that is missed most, by its point estimate; 0 where nothing is known."""
    return max(_each(variant, level, objectives), default=0.0)
