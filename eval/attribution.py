"""Engine or recipe: who is to blame for a difference to the baseline. Pure functions."""

from collections.abc import Mapping, Sequence

from eval.schema import VariantComparison
from services.variants import find_variant

UNQUANTIZED_BITS = 16


def unquantized_sibling(name: str, baseline: str, variants: Sequence[str]) -> str | None:
    """The variant with unquantized weights on the same engine; None where it tells nothing.

    It tells nothing about itself, about the baseline, and where it is the baseline (then the
    whole difference is the recipe's).
    """
    engine = find_variant(name).engine
    for other in variants:
        found = find_variant(other)
        if found.engine is engine and found.recipe.bits == UNQUANTIZED_BITS:
            return None if other in {name, baseline} or name == baseline else other
    return None


def attribute(
    variants: Sequence[VariantComparison], baseline: str, concurrency: int
) -> dict[str, dict[str, float]]:
    """For every variant with an unquantized sibling: the shares of engine and recipe.

    Differences add up: ``<task>_engine`` (sibling minus baseline) + ``<task>_recipe`` (variant
    minus sibling). Ratios multiply: ``speed_ratio_engine`` * ``speed_ratio_recipe``, output tokens
    per second at ``concurrency``.
    """
    by_name = {variant.variant: variant for variant in variants}
    shares: dict[str, dict[str, float]] = {}
    for name, variant in by_name.items():
        sibling = unquantized_sibling(name, baseline, list(by_name))
        if sibling is not None:
            found = _shares(variant, by_name[sibling], concurrency)
            if found:
                shares[name] = found
    return shares


def _shares(
    variant: VariantComparison, sibling: VariantComparison, concurrency: int
) -> dict[str, float]:
    found: dict[str, float] = {}
    for task, result in variant.quality.items():
        other = sibling.quality.get(task)
        if result.difference is not None and other is not None and other.difference is not None:
            found[f"{task}_engine"] = other.difference.value
            found[f"{task}_recipe"] = result.difference.value - other.difference.value
    mine, theirs = _speed_ratio(variant, concurrency), _speed_ratio(sibling, concurrency)
    if mine is not None and theirs:
        found["speed_ratio_engine"] = theirs
        found["speed_ratio_recipe"] = mine / theirs
    return found


def _speed_ratio(variant: VariantComparison, concurrency: int) -> float | None:
    ratios: Mapping[int, float] = {
        level.concurrency: level.output_tok_per_s_ratio.value for level in variant.load
    }
    return None if variant.saturated_client else ratios.get(concurrency)
