"""All written answers of a variant, and what a right one costs at the compared load. Pure."""

from deploy.plan_sections import Objectives
from eval.answering import Costs, WrittenAnswers, answering, are_written, with_costs
from eval.measured import Measured
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
    found = answering(samples, pairs, objectives.confidence)
    return None if found is None else with_costs(found, _costs(mine, objectives))


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
