"""What an answer costs on every variant, at the load that the verdict compares."""

from eval.answer_costs import answer_cost
from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, missing, name_cell, table_of


def cost_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """A row per variant whose speed counts; None where no rate of answers was kept."""
    price = run.plan.objectives.price_per_hour
    rows = []
    for variant in run.variants:
        load = run.load_at(variant)
        found = None if load is None else answer_cost(load, price)
        if found is None:
            continue
        void = variant.why_void
        per_answer = found.machine_s / 1000
        cells = (
            name_cell(variant.variant, marks, "void, see below" if void else ""),
            Cell(text=f"{found.tokens:.0f}", value=found.tokens),
            Cell(text=formats.duration(found.machine_s), value=found.machine_s),
            Cell(text=formats.significant(3600 / per_answer), value=3600 / per_answer),
            missing("no price in the plan")
            if found.price is None
            else Cell(text=formats.significant(found.price), value=found.price),
            missing("no GPU was watched")
            if found.joules is None
            else Cell(text=f"{formats.significant(found.joules / 1000)} kJ", value=found.joules),
        )
        rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Tokens", note="of an answer"),
        Column(title="Machine", note="1,000 answers"),
        Column(title="Answers", note="per hour"),
        Column(title="Price", note="1,000 answers"),
        Column(title="Energy", note="1,000 answers"),
    )
    return table_of(columns, rows)
