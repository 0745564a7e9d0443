"""How the answer depends on the margin: what would win if the plan asked for less, or for more.

Pure functions over a finished comparison; nothing is measured again.
"""

from collections.abc import Callable, Iterator, Mapping

from deploy.plan_sections import Objectives
from eval.decision.choice import choose
from eval.paired import verdict_of
from eval.schema import ComparisonFile, NoSignal, TaskComparison, VariantComparison
from eval.task_signal import KEPT_SHARE

# Margins are tried from a tenth of the plan's to ten times it, in steps of 15 %.
SPAN, STEP = 10.0, 1.15
# How far a change of the answer is narrowed down, as a ratio of margins.
EXACT = 1.02

Winner = str | None


def at_margins(
    comparison: ComparisonFile, accuracy_margin: float, nll_margin: float
) -> ComparisonFile:
    """The comparison as it would be with other margins."""
    margins = {"accuracy": accuracy_margin, "nll_per_token": nll_margin}
    variants = [_variant_at(variant, margins) for variant in comparison.variants]
    return comparison.model_copy(update={"variants": variants})


def _variant_at(variant: VariantComparison, margins: dict[str, float]) -> VariantComparison:
    quality = {
        task: _task_at(result, margins[result.metric]) for task, result in variant.quality.items()
    }
    return variant.model_copy(update={"quality": quality})


def _task_at(result: TaskComparison, asked: float) -> TaskComparison:
    silent = _silent_at(result.no_signal, asked)
    noise = result.noise_floor or 0.0
    verdict = verdict_of(result.difference, result.metric, asked, noise, silent)
    return result.model_copy(
        update={
            "margin": asked,
            "verdict": verdict,
            "no_signal": silent,
        }
    )


def _silent_at(silent: NoSignal | None, asked: float) -> NoSignal | None:
    """A task whose room lies within the margin has signal again where the margin is smaller."""
    if silent is None or silent.kind != "within_margin":
        return silent
    return silent if KEPT_SHARE * abs(silent.baseline - silent.chance) <= asked else None


def other_margins(comparison: ComparisonFile, objectives: Objectives) -> list[str]:
    """The nearest margins that change the answer, downwards and upwards, a sentence each.

    Where a task was asked until its margin was proven, a narrower one would have been asked on:
    nothing is said of such.
    """

    def accuracy(factor: float) -> Winner:
        margin = objectives.accuracy_margin * factor
        return _winner(comparison, objectives, margin, objectives.nll_margin)

    def likelihood(factor: float) -> Winner:
        margin = objectives.nll_margin * factor
        return _winner(comparison, objectives, objectives.accuracy_margin, margin)

    kinds = {
        "accuracy": (100 * objectives.accuracy_margin, "points", accuracy),
        "nll_per_token": (objectives.nll_margin, "nats per token", likelihood),
    }
    results = [result for it in comparison.variants for result in it.quality.values()]
    return [
        line
        for metric, (margin, unit, at) in kinds.items()
        if margin and metric in {result.metric for result in results}
        for line in _lines(margin, unit, at, _directions(results, metric))
    ]


def _directions(results: list[TaskComparison], metric: str) -> dict[float, str]:
    """The steps in which margins are tried, and their words."""
    ended = any(it.metric == metric and it.stopped == "proven" for it in results)
    return ({} if ended else {1 / STEP: "or less"}) | {STEP: "or more"}


def _winner(
    comparison: ComparisonFile, objectives: Objectives, accuracy: float, nll: float
) -> Winner:
    found = choose(at_margins(comparison, accuracy, nll), objectives).chosen
    return None if found is None else found.name


def _lines(
    margin: float, unit: str, at: Callable[[float], Winner], directions: Mapping[float, str]
) -> Iterator[str]:
    now = at(1.0)
    for step, words in directions.items():
        found = _first_change(at, now, step)
        if found is not None:
            factor, winner = found
            what = f"{winner} wins" if winner else "nothing is proven"
            yield f"With a margin of {margin * factor:.2g} {unit} {words} {what}."


def _first_change(
    at: Callable[[float], Winner], now: Winner, step: float
) -> tuple[float, Winner] | None:
    """The factor nearest to 1 at which another wins, and who; None within the span."""
    same, factor = 1.0, step
    while 1 / SPAN <= factor <= SPAN:
        if at(factor) != now:
            return _narrowed(at, now, same, factor)
        same, factor = factor, factor * step
    return None


def _narrowed(
    at: Callable[[float], Winner], now: Winner, same: float, other: float
) -> tuple[float, Winner]:
    while max(same / other, other / same) > EXACT:
        middle = (same * other) ** 0.5
        same, other = (middle, other) if at(middle) == now else (same, middle)
    return other, at(other)
