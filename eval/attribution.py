"""Engine or recipe: who is to blame for a difference to the baseline. Pure functions."""

from collections.abc import Collection, Mapping, Sequence

from deploy.plan_sections import Slo
from eval.measured import Measured, speed_ratio
from eval.paired import difference
from eval.samples import pair
from loadtest.intervals import Estimate
from loadtest.load_point import LoadPoint
from quantize.recipes.catalogue import UNQUANTIZED_BITS
from services.variants import find_variant


def unquantized_sibling(name: str, baseline: str, variants: Sequence[str]) -> str | None:
    """The variant with unquantized weights on the same engine; None where it tells nothing.

    It tells nothing about itself, about the baseline, and where it is the baseline (then the
    whole difference is the recipe's).
    """
    engine = find_variant(name).engine
    for other in variants:
        found = find_variant(other)
        plain = found.recipe.bits == UNQUANTIZED_BITS and found.kv_cache is None
        if found.engine is engine and plain:
            return None if other in {name, baseline} or name == baseline else other
    return None


def attribute(
    measured: Mapping[str, Measured],
    baseline: str,
    point: LoadPoint | None,
    confidence: float,
    silent: Collection[str] = (),
) -> dict[str, dict[str, Estimate]]:
    """For every variant with an unquantized sibling: the shares of engine and recipe.

    Each share is a paired comparison of its own, so it has an interval of its own: engine is the
    sibling against the baseline, recipe the variant against the sibling. Differences of a task
    (``<task>_engine``, ``<task>_recipe``) add up over items that all three answered; ratios of
    output tokens per second at ``point`` (``speed_ratio_engine``, ``speed_ratio_recipe``)
    multiply. Of ``silent`` tasks, which have no signal, nothing is attributed.
    """
    shares: dict[str, dict[str, Estimate]] = {}
    for name, variant in measured.items():
        sibling = unquantized_sibling(name, baseline, list(measured))
        if sibling is None:
            continue
        engine = _against(measured[sibling], measured[baseline], point, confidence)
        recipe = _against(variant, measured[sibling], point, confidence)
        found = {
            f"{key}_{part}": share
            for key in engine.keys() & recipe.keys() - set(silent)
            for part, share in (("engine", engine[key]), ("recipe", recipe[key]))
        }
        if found:
            shares[name] = dict(sorted(found.items()))
    return shares


def _against(
    mine: Measured, other: Measured, point: LoadPoint | None, confidence: float
) -> dict[str, Estimate]:
    """Differences by task and the ratio of speeds, as far as both were measured."""
    found: dict[str, Estimate] = {}
    for task, samples in mine.samples.items():
        pairs = pair(samples, other.samples.get(task, ()))
        if pairs:
            anytime = any(it.quality is not None and it.quality.anytime for it in (mine, other))
            found[task] = difference(pairs, confidence, anytime=anytime).change
    sides = (mine, other)
    if point is not None and all(
        side.load is not None and not side.load.why_void and point in side.records for side in sides
    ):
        rounds = (side.rounds_at(point, Slo()) for side in sides)
        found["speed_ratio"] = speed_ratio(*rounds, anytime=mine.anytime)
    return found
