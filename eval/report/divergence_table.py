"""How far each variant's predictions lie from the baseline's, and what its written answers cost."""

from collections.abc import Mapping

from eval.answering import WrittenAnswers
from eval.divergence.divergence_figures import Divergence
from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import (
    Cell,
    Column,
    Row,
    Table,
    estimate_cell,
    missing,
    name_cell,
    table_of,
)
from eval.verdict_words import is_emulated
from loadtest.intervals import Estimate

READINGS = {
    "floor": ("not told from the baseline", ""),
    "screen": ("a screen: it differs", "unsure"),
    "apart": ("apart", "bad"),
}


def divergence_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """One row per variant and stratum, all texts first; None where no texts were scored."""
    rows = [
        Row(
            key=marks[variant.variant].key,
            cells=(name_cell(variant.variant, marks), Cell(text=part, value=part), *_cells(found)),
        )
        for variant in run.variants
        for part, found in variant.divergence.items()
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Texts", numeric=False),
        Column(title="Reads", numeric=False),
        Column(title="Divergence", note="KL, nats per token"),
        Column(title="Floor", note="the baseline again"),
        Column(title="Excess"),
        Column(title="p99"),
        Column(title="Worst tenth"),
        Column(title="Same top token"),
        Column(title="Perplexity", note="× the baseline's"),
        Column(title="Left out", note="probability"),
        Column(title="Same greedy answers"),
    )
    return table_of(columns, rows)


def _cells(found: Divergence) -> tuple[Cell, ...]:
    words, tone = READINGS[found.reading]
    floor = found.floor
    return (
        Cell(text=words, value=found.reading, tone=tone),
        estimate_cell(found.kl, formats.significant, detail=f"{found.tokens:,} tokens"),
        missing("asked once")
        if floor is None
        else Cell(text=formats.significant(floor.kl), value=floor.kl),
        missing("asked once")
        if found.excess is None
        else estimate_cell(found.excess, formats.significant),
        _beside(found.p99, None if floor is None else floor.p99),
        _beside(found.worst_tenth, None if floor is None else floor.worst_tenth),
        estimate_cell(found.same_first, formats.percent),
        estimate_cell(found.perplexity_ratio, lambda value: f"{value:.3f}"),
        Cell(text=formats.percent(found.remainder), value=found.remainder),
        _greedy(found),
    )


def _beside(value: float, floor: float | None) -> Cell:
    detail = "" if floor is None else f"floor {formats.significant(floor)}"
    return Cell(text=formats.significant(value), value=value, detail=detail)


def _greedy(found: Divergence) -> Cell:
    answers = found.answers
    if answers is None:
        return missing("none asked")
    same = round(answers.same.value * answers.answers)
    parted = answers.parted_at
    detail = "" if parted is None else f"half part by token {parted}"
    return Cell(text=f"{same} of {answers.answers}", value=answers.same.value, detail=detail)


def written_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """One row per variant; None where no answers were written."""
    rows = [
        Row(
            key=marks[variant.variant].key,
            cells=(
                name_cell(variant.variant, marks),
                *_answers(variant.answers, counts=not is_emulated(variant)),
            ),
        )
        for variant in run.variants
        if variant.answers is not None
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Right"),
        Column(title="Not right", numeric=False),
        Column(title="Tokens", note="per answer"),
        Column(title="Longer", note="× the baseline's, all"),
        Column(title="Longer", note="× at equal accuracy"),
        Column(title="Tokens", note="per right answer"),
        Column(title="Seconds", note="of the endpoint, per right answer"),
        Column(title="Price", note="per right answer"),
        Column(title="Joules", note="per right answer"),
    )
    return table_of(columns, rows)


def _answers(found: WrittenAnswers, *, counts: bool) -> tuple[Cell, ...]:
    total, right = sum(found.outcomes.values()), found.outcomes.get("right", 0)
    costs = (found.seconds_per_right, found.price_per_right, found.joules_per_right)
    return (
        Cell(text=f"{right} of {total}", value=right / total),
        Cell(text=_others(found.outcomes)),
        estimate_cell(found.tokens, formats.significant),
        _longer(found.inflation),
        _longer(found.inflation_alike),
        _cost(found.tokens_per_right),
        *(_cost(it if counts else None) for it in costs),
    )


def _others(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in outcomes.items() if name != "right") or "none"


def _longer(found: Estimate | None) -> Cell:
    if found is None:
        return missing("the baseline")
    longer = found.low is not None and found.low > 1
    return estimate_cell(found, formats.ratio, tone="bad" if longer else "")


def _cost(found: Estimate | None) -> Cell:
    return missing("no figure") if found is None else estimate_cell(found, formats.significant)
