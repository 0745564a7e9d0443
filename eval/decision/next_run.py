"""What to run next where the evidence is not enough: how much, how long, how likely it settles it.

Pure functions.
"""

from collections.abc import Iterator, Sequence

from deploy.plan_sections import Objectives
from eval.decision.judging import Candidate
from eval.decision.needed_items import Shared, chance_to_settle, items_to_settle
from eval.paired import as_loss
from eval.schema import ComparisonFile, TaskComparison, VariantComparison
from eval.suite.offered import ENDLESS
from loadtest.intervals import Estimate

# Beyond so many items nobody waits for the answer.
MOST_ITEMS = 200_000


def next_runs(
    comparison: ComparisonFile, objectives: Objectives, open_: Sequence[Candidate]
) -> list[str]:
    """A line for the first of the open variants whose questions can be settled by more items."""
    others = [v for v in comparison.variants if v.variant != comparison.baseline]
    anytime = any(it.anytime for variant in others for it in variant.quality.values())
    shared = Shared(confidence=objectives.confidence, variants=len(others), anytime=anytime)
    for candidate in open_:
        if lines := list(_lines(comparison, candidate, shared)):
            return lines
    return []


def _open_tasks(variant: VariantComparison) -> Iterator[tuple[str, TaskComparison, Estimate]]:
    """The tasks that decide nothing yet, or not among all, with their losses."""
    for task, result in variant.quality.items():
        if result.difference is None or result.verdict not in {"undecided", "equal_or_better"}:
            continue
        loss = as_loss(result.difference, result.metric)
        if loss.bounds is not None:
            yield task, result, loss


def _lines(comparison: ComparisonFile, candidate: Candidate, shared: Shared) -> Iterator[str]:
    tasks = {reason.task for reason in candidate.undecided}
    together = any(reason.objective == "together" for reason in candidate.undecided)
    found = {}
    for task, result, loss in _open_tasks(candidate.variant):
        needed = items_to_settle(result.items, loss, result.margin, shared)
        if (task in tasks or together) and needed is not None and needed > result.items:
            found[task] = (needed, result, loss)
    if not found:
        return
    most = max(needed for needed, _, _ in found.values())
    if most > MOST_ITEMS:
        yield (
            f"{candidate.name} lies too near to the margin for any run to tell: {most:,} items "
            "would be needed; choose another margin"
        )
        return
    limit = _rounded(most)
    chance = min(
        chance_to_settle(result.items, limit, loss, result.margin, shared)
        for _, result, loss in found.values()
    )
    yield (
        f"Next: quality.limit: {limit}{_time(comparison, limit)} settles {candidate.name} on "
        f"{', '.join(found)} with a chance of {100 * chance:.0f} %."
    )
    if ended := [task for task in found if task not in ENDLESS]:
        yield (
            f"{', '.join(ended)} may not have so many items; then name further tasks in "
            "quality.tasks."
        )


def _rounded(count: int) -> int:
    """Two significant digits, upwards."""
    step = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // step) * step


def _time(comparison: ComparisonFile, limit: int) -> str:
    """How long asking all variants so many items of every task takes, the baseline twice."""
    seconds = 0.0
    for variant in comparison.variants:
        times = 2 if variant.variant == comparison.baseline else 1
        for result in variant.quality.values():
            if result.seconds is None:
                return ""
            seconds += times * result.seconds * max(1.0, limit / result.items)
    return f" (at most {max(1, round(seconds / 60)):,} minutes of questions)"
