"""All written answers of a variant, and what a right one costs at the compared load. Pure."""

from collections.abc import Sequence

from deploy.plan_sections import Objectives
from eval.answering import Costs, Counting, WrittenAnswers, answering, are_written, with_costs
from eval.measured import Measured
from eval.quality_ends import available_items
from eval.samples import pair
from loadtest.load_file import LevelSummary
from loadtest.load_kinds import pick


def written_answers(
    mine: Measured, baseline: Measured, objectives: Objectives
) -> WrittenAnswers | None:
    """Over all tasks whose answers are written; None without any.

    Raises:
        ValueError: the variant and the baseline were asked different questions.
    """
    tasks = {task: rows for task, rows in mine.samples.items() if are_written(rows)}
    pairs = (
        []
        if mine is baseline
        else [
            it for task, rows in tasks.items() for it in pair(rows, baseline.samples.get(task, ()))
        ]
    )
    samples = [sample for rows in tasks.values() for sample in rows]
    found = answering(samples, pairs, _counting(mine, baseline, list(tasks), objectives.confidence))
    return None if found is None else with_costs(found, _costs(mine, objectives))


def _counting(
    mine: Measured, baseline: Measured, tasks: Sequence[str], confidence: float
) -> Counting:
    """How far each task was asked decides nothing of what they come to together."""
    anytime = any(it.quality is not None and it.quality.anytime for it in (mine, baseline))
    if not anytime or mine.quality is None or len(tasks) < 2:
        return Counting(confidence=confidence, anytime=anytime)
    scores = {task: mine.quality.tasks[task] for task in tasks}
    shares = {task: available_items(it) / len(mine.samples[task]) for task, it in scores.items()}
    return Counting(confidence=confidence, anytime=True, shares=shares)


def _costs(mine: Measured, objectives: Objectives) -> Costs:
    level = _compared(mine, objectives)
    return Costs(
        tok_per_s=None if level is None else level.output_tok_per_s,
        price_per_hour=objectives.price_per_hour,
        joules_per_token=(
            None if level is None or level.gpu is None else level.gpu.joules_per_output_token
        ),
    )


def _compared(mine: Measured, objectives: Objectives) -> LevelSummary | None:
    """Its figures at the compared load; None where its speeds are void."""
    levels = [] if mine.load is None or mine.load.why_void else mine.load.levels
    point = pick([level.point for level in levels], objectives.load)
    return next((it for it in levels if it.point == point), None)
