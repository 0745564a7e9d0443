"""The evidence beside the verdict: five figures that a reader takes in at one glance."""

from dataclasses import dataclass

from markupsafe import Markup

from eval.decision.misses import SLO_SHARE
from eval.drawing.svg import Scale, drawing, line, tag
from eval.report import formats
from eval.report.report_inputs import Run
from eval.schema import LoadComparison, TaskComparison, VariantComparison
from loadtest.intervals import Estimate

WIDTH = 220.0
HEIGHT = 30.0
TONE_OF = {"equal_or_better": "good", "worse": "bad", "undecided": "unsure", "no_signal": ""}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure: what it is, its value, what it is compared with, and what it means.

    ``tone`` is ``good``, ``bad``, ``unsure`` or empty; ``verdict`` says the same in words.
    """

    title: str
    value: str
    lines: tuple[str, ...]
    tone: str = ""
    verdict: str = ""
    picture: Markup | None = None


def evidence(run: Run, subject: VariantComparison) -> list[Tile]:
    """The tiles of the variant that the verdict is about."""
    baseline = run.find(run.comparison.baseline)
    return [
        _throughput(run, subject),
        _latency(run, subject, baseline),
        _quality(run, subject),
        _weights(subject, baseline),
        _memory(run, subject, baseline),
    ]


def _throughput(run: Run, subject: VariantComparison) -> Tile:
    title = "Throughput"
    load = run.load_at(subject)
    if load is None:
        return Tile(title=title, value="–", lines=(_unmeasured(run.why_no_load(subject)),))
    absolute = f"{formats.significant(load.output_tok_per_s.value)} tok/s"
    if subject.why_void:
        lines = (f"void: {subject.why_void}",)
        return Tile(title=title, value=absolute, lines=lines, tone="unsure", verdict="void")
    if run.is_baseline(subject):
        return Tile(title=title, value=absolute, lines=("the baseline itself",))
    ratio = load.output_tok_per_s_ratio
    return Tile(
        title=title,
        value=formats.ratio(ratio.value),
        lines=(
            f"the baseline's {_bracket(ratio)}".rstrip(),
            f"{absolute}, {load.point.full}",
        ),
    )


def _bracket(ratio: Estimate) -> str:
    return formats.interval(ratio, lambda bound: f"{bound:.2f}")


def _latency(run: Run, subject: VariantComparison, baseline: VariantComparison | None) -> Tile:
    title = "Latency, median"
    load = run.load_at(subject)
    if load is None or "p50" not in load.ttft_s:
        return Tile(title=title, value="–", lines=(_unmeasured(run.why_no_load(subject)),))
    words = [f"to the first token{_then(load)}"]
    other = run.load_at(baseline)
    if other is not None and "p50" in other.ttft_s and not run.is_baseline(subject):
        first = formats.seconds(other.ttft_s["p50"].value)
        words.append(f"baseline {first}{_then(other).removesuffix(' per token')}")
    value = formats.seconds(load.ttft_s["p50"].value)
    tone, verdict = _slo(run, load)
    return Tile(title=title, value=value, lines=tuple(words), tone=tone, verdict=verdict)


def _then(load: LoadComparison) -> str:
    tpot = load.tpot_s.get("p50")
    return "" if tpot is None else f", then {formats.seconds(tpot.value)} per token"


def _slo(run: Run, load: LoadComparison) -> tuple[str, str]:
    slo = run.plan.objectives.slo
    if slo.ttft_s is None and slo.tpot_s is None and slo.e2e_s is None:
        return "", ""
    found = load.goodput_share
    share = formats.percent(found.value, 0)
    met = found.low is not None and found.low >= SLO_SHARE
    missed = found.high is not None and found.high < SLO_SHARE
    tone = "good" if met else "bad" if missed else "unsure"
    return tone, f"{share} of requests meet the SLO"


def _quality(run: Run, subject: VariantComparison) -> Tile:
    """The task on which the variant comes nearest to its margin, or furthest beyond it."""
    if run.is_baseline(subject):
        scores = [
            f"{task} {formats.score(result.metric, result.score.value)}"
            for task, result in subject.quality.items()
        ]
        return Tile(title="Quality", value="baseline", lines=tuple(scores[:3]))
    compared = {
        task: (result, result.difference)
        for task, result in subject.quality.items()
        if result.difference is not None
        and result.metric == "accuracy"
        and result.no_signal is None
    }
    if not compared:
        return Tile(
            title="Accuracy", value="–", lines=(_unmeasured("no task with signal compared"),)
        )
    task = min(compared, key=lambda name: _slack(*compared[name]))
    result, change = compared[task]
    words = {"equal_or_better": "within the margin", "worse": "beyond the margin"}
    between = formats.interval(change, lambda bound: formats.difference("accuracy", bound))
    return Tile(
        title="Accuracy" + (", worst task" if len(compared) > 1 else ""),
        value=f"{formats.difference('accuracy', change.value)} points",
        lines=(
            f"{between} on {task}".strip(),
            f"margin {formats.difference('accuracy', -result.margin)}",
        ),
        tone=TONE_OF[result.verdict],
        verdict=words.get(result.verdict, "undecided: the interval spans the margin"),
        picture=_interval(result, change),
    )


def _slack(result: TaskComparison, change: Estimate) -> float:
    return (change.value if change.low is None else change.low) + result.margin


def _interval(result: TaskComparison, change: Estimate) -> Markup:
    """The interval between the margin and zero, as small as a word."""
    low = change.value if change.low is None else change.low
    high = change.value if change.high is None else change.high
    ends = [low, high, 0.0, -result.margin]
    room = (max(ends) - min(ends)) * 0.08 or 0.01
    x = Scale(low=min(ends) - room, high=max(ends) + room, start=4, end=WIDTH - 4)
    middle = HEIGHT / 2
    return drawing(
        WIDTH,
        HEIGHT,
        "the interval against the margin (dashed) and no change (solid)",
        line(x(-result.margin), 2, x(-result.margin), HEIGHT - 2, "margin"),
        line(x(0), 2, x(0), HEIGHT - 2, "zero"),
        line(x(low), middle, x(high), middle, "tile-whisker"),
        tag("circle", cx=x(change.value), cy=middle, r=5, class_="tile-dot"),
    )


def _weights(subject: VariantComparison, baseline: VariantComparison | None) -> Tile:
    words = [
        f"{subject.bits_per_weight:.2f} bits per weight",
        f"{formats.size(subject.artifact_bytes)} the whole artifact",
    ]
    if baseline is not None and baseline is not subject and baseline.weight_bytes:
        share = formats.percent(subject.weight_bytes / baseline.weight_bytes, 0)
        words.insert(0, f"{share} of the baseline's {formats.size(baseline.weight_bytes)}")
    return Tile(
        title="Weights on disk", value=formats.size(subject.weight_bytes), lines=tuple(words)
    )


def _memory(run: Run, subject: VariantComparison, baseline: VariantComparison | None) -> Tile:
    if subject.memory_bytes is None:
        return Tile(title="Memory in use", value="–", lines=(formats.NOT_MEASURED,))
    words = []
    if baseline is not None and baseline is not subject and baseline.memory_bytes:
        share = formats.percent(subject.memory_bytes / baseline.memory_bytes, 0)
        words.append(f"{share} of the baseline's {formats.size(baseline.memory_bytes)}")
    limit = run.plan.objectives.memory_gib
    tone = verdict = ""
    if limit is not None:
        fits = subject.memory_bytes <= limit * (1 << 30)
        tone, verdict = ("good", "within") if fits else ("bad", "above")
        verdict += f" the limit of {formats.significant(limit)} GiB"
    return Tile(
        title="Memory in use",
        value=formats.size(subject.memory_bytes),
        lines=tuple(words),
        tone=tone,
        verdict=verdict,
    )


def _unmeasured(why: str) -> str:
    return f"{formats.NOT_MEASURED}: {why}"
