"""Where the questions of a variant ended, read from what they brought. Pure functions."""

from collections.abc import Mapping, Sequence

from deploy.plan_sections import Objectives
from eval.decision.enough import stops
from eval.paired import noise_floor
from eval.samples import Sample
from eval.schema import QualityFile, TaskComparison
from eval.task_score import TaskScore


def available_items(score: TaskScore) -> int:
    """How many items the plan would ask of a task."""
    return int(score.details.get("available_items", score.items))


def floor_within(
    mine: Sequence[Sample],
    first: Sequence[Sample],
    second: Sequence[Sample],
    confidence: float,
) -> float | None:
    """The noise floor of two passes of the baseline, over the items that a variant was asked.

    Where the second pass was asked fewer, over those: noise of fewer items is larger.
    """
    items = {sample.item for sample in mine}
    return noise_floor([sample for sample in first if sample.item in items], second, confidence)


def with_ends(
    results: Mapping[str, TaskComparison],
    asked: QualityFile,
    objectives: Objectives,
    compared: int,
) -> dict[str, TaskComparison]:
    """The tasks of a variant, each with why no more of its items were asked."""
    available = {task: available_items(asked.tasks[task]) for task in results}
    found = stops(results, available, objectives, compared)
    return {
        task: result.model_copy(update={"stopped": found.get(task)})
        for task, result in results.items()
    }
