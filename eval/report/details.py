"""The tables behind the verdict: which answers flipped, and what the engine alone changes."""

from collections.abc import Sequence

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, estimate_cell, missing, name_cell, table_of
from eval.schema import TaskComparison, VariantComparison
from loadtest.certificate import Certified
from loadtest.intervals import Estimate
from services.engines.kernels import Kernels

# So many kinds of layers are named.
_FEW_NAMES = 2


def flips_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """Answers that changed against the baseline, per task and variant; None without any."""
    rows = []
    for task, metric in run.tasks.items():
        for variant, result in run.results(task) if metric == "accuracy" else []:
            if result.flips is None:
                continue
            flips = result.flips
            changed = flips.to_wrong + flips.to_right
            share = formats.percent(changed / result.items) if result.items else ""
            cells = (
                Cell(text=task, value=task),
                name_cell(variant.variant, marks),
                Cell(text=f"{result.items:,}", value=result.items),
                Cell(text=str(flips.to_wrong), value=flips.to_wrong),
                Cell(text=str(flips.to_right), value=flips.to_right),
                Cell(text=str(changed), value=changed, detail=share),
                Cell(text=formats.p_value(flips.p_value), value=flips.p_value),
                _significance(result),
            )
            rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Task", numeric=False),
        Column(title="Variant", numeric=False),
        Column(title="Items"),
        Column(title="Right to wrong"),
        Column(title="Wrong to right"),
        Column(title="Changed"),
        Column(title="p", note="of flips, exact"),
        Column(title="Significant", numeric=False),
    )
    return table_of(columns, rows)


def _significance(result: TaskComparison) -> Cell:
    if result.no_signal is not None:
        return Cell(text="no signal", value=0)
    return Cell(text="yes" if result.significant else "no", value=int(result.significant))


def agreement_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """How each variant's answers agree with what transformers computes; None without any."""
    rows = []
    for variant in run.variants:
        found = variant.agreement
        if found is None:
            continue
        cells = (
            name_cell(variant.variant, marks),
            Cell(text=found.state, value=found.state, detail="; ".join(found.reasons)),
            Cell(text=found.against, value=found.against),
            *(
                missing("not scored") if nats is None else Cell(text=f"{nats:.3f}", value=nats)
                for nats in (found.mean_nats, found.limit_nats, found.worst_nats)
            ),
            Cell(text=f"{found.tokens:,}", value=found.tokens),
        )
        rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Agreement", numeric=False),
        Column(title="Held against", numeric=False),
        Column(title="Mean", note="nats a token, absolute"),
        Column(title="Allowed", note="by rounding"),
        Column(title="Worst token", note="nats"),
        Column(title="Tokens"),
    )
    return table_of(columns, rows)


def kernel_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """On which kernels each variant was computed; None where no engine tells."""
    rows = []
    for variant in run.variants:
        found = variant.kernels
        if found is None:
            continue
        cells = (
            name_cell(variant.variant, marks),
            Cell(text=found.linear_phrase, value=found.linear_phrase, detail=_layers(found)),
            Cell(text=found.attention_phrase, value=found.attention_phrase),
            Cell(text=found.mode_phrase or "CPU", value=found.mode_phrase),
            Cell(
                text="; ".join(found.remarks) or "as expected",
                value=len(found.remarks),
                tone="unsure" if found.remarks else "good",
            ),
        )
        rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Linear layers", note="the engine's own names", numeric=False),
        Column(title="Attention", numeric=False),
        Column(title="Steps", numeric=False),
        Column(title="To be minded", numeric=False),
    )
    return table_of(columns, rows)


def _layers(kernels: Kernels) -> str:
    """How many layers are stored in which way, and which where they are of one or two kinds."""
    counted = [item for item in kernels.linear if item.layers is not None]
    return ", ".join(
        f"{item.layers} {item.method}"
        + (f" ({' and '.join(item.names)})" if 0 < len(item.names) <= _FEW_NAMES else "")
        for item in counted
    )


def noise_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """How throughput varied at the compared load, and what pairing gained; None without rounds."""
    rows = []
    for variant in run.variants:
        load = run.load_at(variant)
        if load is None or load.noise is None:
            continue
        found = load.noise
        cells = (
            name_cell(variant.variant, marks),
            Cell(text=str(len(load.rounds)), value=len(load.rounds)),
            _spread_cell(found.within, "too few requests"),
            _spread_cell(found.between, ""),
            _spread_cell(found.paired, _why_unpaired(run, variant)),
            missing("no pairs")
            if found.gain is None
            else Cell(text=formats.ratio(found.gain), value=found.gain),
            missing("one request a round")
            if load.settling is None
            else estimate_cell(load.settling, formats.ratio),
        )
        rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Rounds"),
        Column(title="Within a round", note="expected of its requests"),
        Column(title="Between rounds", note="standard deviation"),
        Column(title="Ratio to the baseline", note="between paired rounds"),
        Column(title="Pairing gains", note="of the time needed"),
        Column(title="Later requests", note="against earlier ones of a round"),
    )
    return table_of(columns, rows)


def _spread_cell(share: float | None, why: str) -> Cell:
    return missing(why) if share is None else Cell(text=formats.percent(share), value=share)


def _why_unpaired(run: Run, variant: VariantComparison) -> str:
    return "the baseline itself" if run.is_baseline(variant) else "not measured in turns"


def slo_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """The highest rate of arrivals that meets the SLO; None where it was not searched."""
    rows = [
        Row(
            key=marks[variant.variant].key,
            cells=(
                name_cell(variant.variant, marks),
                missing("not enclosed by the trials")
                if variant.slo_rate_per_s is None
                else estimate_cell(variant.slo_rate_per_s, formats.significant),
                Cell(text=str(variant.slo_trials), value=variant.slo_trials),
            ),
        )
        for variant in run.variants
        if variant.slo_trials
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Highest rate", note="requests a second"),
        Column(title="Trials"),
    )
    return table_of(columns, rows)


def waiting_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """End-to-end latency from when requests were due and from their send; None of a closed loop."""
    rows = []
    for variant in run.variants:
        for load in (*run.loads(variant), *run.stress(variant)):
            for key, service in load.service_e2e_s.items():
                cells = (
                    name_cell(variant.variant, marks),
                    Cell(text=load.point.short, value=load.point.amount),
                    Cell(text=key, value=key),
                    estimate_cell(load.e2e_s[key], formats.seconds),
                    estimate_cell(service, formats.seconds),
                )
                rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load"),
        Column(title="Percentile", numeric=False),
        Column(title="Response", note="from when it was due"),
        Column(title="Service", note="from the send"),
    )
    return table_of(columns, rows)


def client_table(run: Run) -> Table | None:
    """What the client adds, before and after, at every load point; None without a certificate."""
    found = dict.fromkeys(v.certificate for v in run.variants if v.certificate is not None)
    rows = [
        Row(key=None, cells=_client_cells(when, item))
        for certificate in found
        for when, items in (("before", certificate.before), ("after", certificate.after))
        for item in items
    ]
    columns = (
        Column(title="Load", numeric=False),
        Column(title="Added to TTFT", note="median"),
        Column(title="Added to TTFT", note="p99"),
        Column(title="To the last token", note="p99"),
        Column(title="Headroom", note="by processor time"),
        Column(title="Requests"),
    )
    return table_of(columns, rows)


def _client_cells(when: str, item: Certified) -> tuple[Cell, ...]:
    added = (item.ttft.p50_s, item.ttft.p99_s, item.end.p99_s)
    tone = "bad" if item.why_void else "good"
    pace = f"{when}, a chunk every {formats.seconds(item.pace.gap_s)}"
    return (
        Cell(text=item.point.label, value=item.point.amount, detail=pace, tone=tone),
        *(Cell(text=formats.seconds(value), value=value) for value in added),
        Cell(text=formats.ratio(item.headroom), value=item.headroom),
        Cell(text=f"{item.requests:,}", value=item.requests),
    )


def attribution_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """What the engine alone changes and what the whole variant changes; None without any."""
    known = {name: shares for name, shares in run.comparison.attribution.items() if shares}
    if not known:
        return None
    keys: Sequence[str] = list(dict.fromkeys(key for shares in known.values() for key in shares))
    columns = [Column(title="Variant", numeric=False)]
    columns += [_column(key) for key in keys]
    ordered = [*(n for n in run.order if n in known), *(n for n in known if n not in run.order)]
    rows = []
    for name in ordered:
        cells = [name_cell(name, marks)]
        cells += [_share_cell(run, key, known[name].get(key)) for key in keys]
        rows.append(Row(key=marks[name].key if name in marks else None, cells=tuple(cells)))
    return Table(columns=tuple(columns), rows=tuple(rows))


def _share_cell(run: Run, key: str, share: Estimate | None) -> Cell:
    if share is None:
        return missing("no figure")
    return estimate_cell(share, lambda bound: _share(run, key, bound))


def _column(key: str) -> Column:
    """A heading from keys such as ``assay_choice_engine`` and ``speed_ratio_recipe``."""
    stem, _, part = key.rpartition("_")
    if part not in {"engine", "recipe"}:
        return Column(title=key)
    title = "throughput" if stem == "speed_ratio" else stem
    return Column(title=title, note=f"the {part}'s share")


def _share(run: Run, key: str, value: float) -> str:
    """A figure of the attribution, written by what its key says it is."""
    if "ratio" in key or "speed" in key:
        return formats.ratio(value)
    task = next((task for task in run.tasks if task in key), "")
    if "accuracy" in key or run.tasks.get(task) == "accuracy":
        return f"{formats.difference('accuracy', value)} points"
    return formats.minus(f"{value:+.3f}")
