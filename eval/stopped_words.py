"""How far a task was asked, and why no further, in words. Pure functions."""

from collections.abc import Sequence

from eval.paired import as_loss
from eval.schema import Stopped, TaskComparison, VariantComparison
from eval.task_score import TaskScore
from eval.verdict_words import amount

WHY: dict[Stopped, str] = {
    "proven": "proven",
    "worse": "worse",
    "failed_elsewhere": "failed elsewhere",
    "open_elsewhere": "undecided elsewhere",
    "hopeless": "the rest would hardly tell",
    "all_asked": "all asked",
}


def stopped_line(
    score: TaskScore, available: int, result: TaskComparison | None, why: Stopped | None
) -> str:
    """One task of one pass: its score, its loss, how many items it took, and why it ended."""
    unit = {"accuracy": "accuracy", "nll_per_token": "nats per token"}[score.metric]
    asked = f"{score.items:,} of {available:,} items in {score.details.get('seconds', 0):.0f} s"
    parts = [f"{score.value:.4f} {unit}", asked]
    if result is not None and result.difference is not None:
        loss = as_loss(result.difference, result.metric)
        parts.append(f"loss {amount(result.metric, loss.value)}")
    return ", ".join([*parts, *([WHY[why]] if why else [])])


def asked_lines(variants: Sequence[VariantComparison]) -> list[str]:
    """A line per variant that was asked in blocks: the items of each task, and why they ended."""
    lines = []
    for variant in variants:
        found = [
            f"{task} {result.items:,} ({WHY[result.stopped]})"
            for task, result in variant.quality.items()
            if result.stopped is not None
        ]
        if found:
            lines.append(f"items asked of {variant.variant}: {', '.join(found)}")
    return lines
