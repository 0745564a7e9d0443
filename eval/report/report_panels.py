"""Every chart of the page, each with its title, and a note on what it cannot show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.bars import Bar, bars
from eval.report.forest import Row, forest
from eval.report.lines import Axis, Series, lines
from eval.report.report_inputs import Run
from eval.report.scatter import Point, scatter
from eval.schema import LoadComparison, VariantComparison
from loadtest.intervals import Estimate

# With more variants than this, only the best and the baseline are named in the line charts.
_MOST_LINES = 12
_NAMED_LINES = 8
_ZERO = Estimate(value=0.0, low=None, high=None)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart with its words; without a picture, ``note`` says why there is none.

    ``anchor`` is its name for links of the page.
    """

    title: str
    picture: Markup | None
    note: str = ""
    anchor: str = ""


def quality_against_speed(run: Run, marks: Mapping[str, Mark]) -> list[Panel]:
    """One scatter per task."""
    panels = []
    for task, metric in run.tasks.items():
        points, absent = [], []
        for rank, variant in enumerate(run.variants, 1):
            load, gain = run.load_at(variant), _gain(run, variant, task)
            if load is None or gain is None or variant.why_void:
                absent.append(variant.variant)
                continue
            points.append(
                Point(
                    name=variant.variant,
                    rank=rank,
                    mark=marks[variant.variant],
                    speed=load.output_tok_per_s,
                    gain=gain,
                    baseline=run.is_baseline(variant),
                )
            )
        picture = (
            scatter(
                points,
                task=task,
                metric=metric,
                margin=run.margin(task),
                noise_floor=run.noise_floor(task),
            )
            if points
            else None
        )
        note = " ".join(filter(None, [run.silence(task), _absent(absent)]))
        panels.append(Panel(title=task, picture=picture, note=note))
    return panels


def _gain(run: Run, variant: VariantComparison, task: str) -> Estimate | None:
    result = variant.quality.get(task)
    if run.is_baseline(variant) and result is not None:
        return _ZERO
    return None if result is None else result.difference


def _absent(names: list[str]) -> str:
    return f"Not shown, for lack of a valid figure: {', '.join(names)}." if names else ""


def against_load(run: Run, marks: Mapping[str, Mark]) -> list[Panel]:
    """Latency, throughput and goodput over the load; intervals are vertical strokes."""
    slo = run.plan.objectives.slo
    wanted: list[tuple[str, Axis, Callable[[LoadComparison], Estimate | None]]] = [
        (
            "Time to first token (TTFT), median",
            _latency_axis("TTFT p50, lower is better", slo.ttft_s),
            lambda load: load.ttft_s.get("p50"),
        ),
        (
            "Time per output token (TPOT), median",
            _latency_axis("TPOT p50, lower is better", slo.tpot_s),
            lambda load: load.tpot_s.get("p50"),
        ),
        (
            "Output throughput",
            Axis(
                words="output tokens per second, higher is better",
                write=formats.significant,
                logarithmic=False,
            ),
            lambda load: load.output_tok_per_s,
        ),
    ]
    if slo.ttft_s is not None or slo.tpot_s is not None or slo.e2e_s is not None:
        axis = Axis(
            words="requests per second that meet every SLO, higher is better",
            write=formats.significant,
            logarithmic=False,
        )
        wanted.append(("Goodput", axis, lambda load: load.goodput_per_s))
    return [_line_panel(run, marks, title, axis, pick) for title, axis, pick in wanted]


def _latency_axis(words: str, limit: float | None) -> Axis:
    return Axis(
        words=words,
        write=formats.seconds,
        logarithmic=True,
        limit=limit,
        limit_words="" if limit is None else f"SLO {formats.seconds(limit)}",
    )


def _line_panel(
    run: Run,
    marks: Mapping[str, Mark],
    title: str,
    axis: Axis,
    pick: Callable[[LoadComparison], Estimate | None],
) -> Panel:
    series, absent, top = [], [], 0.0
    focused = len(run.variants) > _MOST_LINES
    for rank, variant in enumerate(run.variants, 1):
        found = [(load.point, pick(load)) for load in run.loads(variant)]
        points = sorted((point, value) for point, value in found if value and isfinite(value.value))
        if not points:
            absent.append(variant.variant)
            continue
        top = max(top, *(end for _, value in points for end in value.known if isfinite(end)))
        series.append(
            Series(
                name=variant.variant,
                mark=marks[variant.variant],
                points=points,
                void=bool(variant.why_void),
                faint=focused and rank > _NAMED_LINES and not run.is_baseline(variant),
            )
        )
    notes = [_absent(absent)]
    if axis.limit is not None and axis.limit >= 4 * top:
        notes.append(f"The plan's {axis.limit_words} lies far above everything here.")
    if any(s.faint for s in series):
        notes.append(f"Named: the {_NAMED_LINES} best and the baseline; all others are grey.")
    if any(s.void for s in series):
        notes.append("Dashed: the figures are void, see “Do the figures count?”.")
    picture = lines(series, axis, title) if series else None
    return Panel(title=title, picture=picture, note=" ".join(note for note in notes if note))


def sizes(run: Run, marks: Mapping[str, Mark]) -> list[Panel]:
    """Weights on disk, weights as the engine holds them, and memory of the whole endpoint."""
    memory_limit = run.plan.objectives.memory_gib
    wanted: list[tuple[str, Callable[[VariantComparison], int | None], float | None]] = [
        ("Weights on disk", lambda v: v.weight_bytes, None),
        ("Weights held by the engine", lambda v: v.held_weight_bytes, None),
        (
            "Memory in use by the endpoint",
            lambda v: v.memory_bytes,
            None if memory_limit is None else memory_limit * (1 << 30),
        ),
    ]
    baseline = run.find(run.comparison.baseline)
    panels = []
    for title, pick, limit in wanted:
        rows = [Bar(name=v.variant, mark=marks[v.variant], value=pick(v)) for v in run.variants]
        reference = None if baseline is None else pick(baseline)
        picture = bars(rows, title, reference, limit) if rows else None
        panels.append(Panel(title=title, picture=picture))
    return panels


def quality_in_detail(run: Run, marks: Mapping[str, Mark]) -> list[Panel]:
    """One forest plot per task."""
    panels = []
    for task, metric in run.tasks.items():
        rows = [
            Row(
                name=v.variant,
                mark=marks[v.variant],
                result=v.quality.get(task),
                why=run.why_no_quality(v, task),
            )
            for v in run.variants
        ]
        picture = forest(
            rows,
            task=task,
            metric=metric,
            margin=run.margin(task),
            noise_floor=run.noise_floor(task),
        )
        panels.append(
            Panel(
                title=task, picture=picture, note=run.silence(task), anchor=task_anchor(run, task)
            )
        )
    return panels


def task_anchor(run: Run, task: str) -> str:
    """The name of a task's forest plot for links of the page."""
    return f"task-{list(run.tasks).index(task)}"
