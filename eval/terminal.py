"""The verdict as a compact table for the terminal: a pure function from files to text."""

import shutil
import textwrap
from collections.abc import Callable, Sequence
from statistics import median

from eval.schema import ComparisonFile, LoadComparison, Ranked, VariantComparison, VerdictFile
from eval.stopped_words import asked_lines
from eval.terminal_tables import answers_lines, divergence_lines, layout
from eval.verdict_words import is_emulated
from loadtest.load_kinds import pick
from loadtest.load_point import LoadPoint
from loadtest.sweep import saturation

MIB = 1 << 20
UNKNOWN = "-"
# The columns between the verdict and those of the memory.
FIGURES = 5
Memory = Callable[[VariantComparison], int | None]


def _memories(comparison: ComparisonFile) -> dict[str, Memory]:
    """The columns of memory by title; one of the GPU where any was used."""
    of: dict[str, Memory] = {"memory": lambda variant: variant.memory_bytes}
    if any(variant.gpu_memory_bytes is not None for variant in comparison.variants):
        of["on GPU"] = lambda variant: variant.gpu_memory_bytes
    return of


def _mebibytes(size: int | None) -> str:
    return UNKNOWN if size is None else f"{size / MIB:,.0f}"


def _milliseconds(level: LoadComparison | None, name: str) -> str:
    median = getattr(level, name).get("p50") if level is not None else None
    return UNKNOWN if median is None else f"{1000 * median.value:,.1f}"


def _task_cell(variant: VariantComparison, task: str) -> str:
    """The score, and its change against the baseline; ``!`` is worse, ``?`` not proven,
    ``#`` without signal."""
    result = variant.quality.get(task)
    if result is None:
        return UNKNOWN
    accuracy = result.metric == "accuracy"
    score = f"{100 * result.score.value:.1f}" if accuracy else f"{result.score.value:.3f}"
    sign = {"worse": "!", "undecided": "?", "no_signal": "#", "equal_or_better": ""}[result.verdict]
    if result.difference is None:
        return score + sign
    change = result.difference.value
    return f"{score} ({100 * change:+.1f}){sign}" if accuracy else f"{score} ({change:+.3f}){sign}"


def _title(variants: Sequence[VariantComparison], task: str) -> str:
    metric = next(v.quality[task].metric for v in variants if task in v.quality)
    return f"{task.removeprefix('assay_general_')} {'%' if metric == 'accuracy' else 'nats/tok'}"


def _state(ranked: Ranked, comparison: ComparisonFile) -> str:
    if ranked.variant in comparison.failed:
        return "failed"
    return "fails" if ranked.failed else "undecided" if ranked.undecided else "passes"


def _rows(
    comparison: ComparisonFile, verdict: VerdictFile, at: LoadPoint | None, tasks: Sequence[str]
) -> list[list[str]]:
    by_name = {variant.variant: variant for variant in comparison.variants}
    rows = []
    memory_of = _memories(comparison)
    figures = FIGURES + len(memory_of)
    for ranked in verdict.ranking:
        variant = by_name.get(ranked.variant)
        if variant is None:
            rows.append([f"  {ranked.variant}", "failed", *[UNKNOWN] * (figures + len(tasks))])
            continue
        level = variant.load_at(at)
        speed = UNKNOWN if level is None else f"{level.output_tok_per_s.value:,.0f}"
        ratio = UNKNOWN if level is None else f"{level.output_tok_per_s_ratio.value:.2f}"
        void = "~" if is_emulated(variant) else "*" if variant.why_void else ""
        rows.append(
            [
                f"{'>' if ranked.variant == verdict.variant else ' '} {ranked.variant}",
                _state(ranked, comparison),
                speed + void,
                ratio + void,
                _milliseconds(level, "ttft_s"),
                _milliseconds(level, "tpot_s"),
                f"{variant.weight_bytes / MIB:,.1f}",
                *(_mebibytes(of(variant)) for of in memory_of.values()),
                *(_task_cell(variant, task) for task in tasks),
            ]
        )
    return rows


def _noise(comparison: ComparisonFile, at: LoadPoint | None) -> list[str]:
    """How throughput varied between rounds, and how its paired ratios did: medians of variants."""
    levels = [level for v in comparison.variants if (level := v.load_at(at)) is not None]
    noises = [level.noise for level in levels if level.noise is not None]
    if not noises:
        return []
    rounds = max(len(level.rounds) for level in levels)
    said = f"{rounds} rounds: throughput varied by {_share(median(n.between for n in noises))}"
    paired = [noise.paired for noise in noises if noise.paired is not None]
    gains = [noise.gain for noise in noises if noise.gain is not None]
    if paired:
        said += f", its ratio to the baseline by {_share(median(paired))}"
    if gains:
        said += f"; turns save {1 - 1 / max(1.0, median(gains)):.0%} of the time".replace("%", " %")
    return [said]


def _saturations(comparison: ComparisonFile) -> list[str]:
    """Where a sweep found each variant saturated, in one line; none of other loads."""
    told = []
    for variant in comparison.variants:
        steps = [it for it in variant.load if it.point.is_searched]
        if steps:
            found = saturation([(it.point.amount, it.output_tok_per_s.value) for it in steps])
            beyond = "" if found.reached else " or more"
            told.append(f"{variant.variant} at {found.streams}{beyond}")
    return [f"saturated, in streams: {', '.join(told)}"] if told else []


def _stress(comparison: ComparisonFile) -> list[str]:
    """The loads that decide nothing, a row each."""
    rows = [
        [
            f"  {variant.variant}",
            level.point.label,
            f"{level.output_tok_per_s.value:,.0f}{'*' if level.void else ''}",
            _milliseconds(level, "ttft_s"),
            _milliseconds(level, "tpot_s"),
            _milliseconds(level, "e2e_s"),
            str(level.errors),
        ]
        for variant in comparison.variants
        for level in variant.stress
    ]
    header = ["  under stress", "load", "tok/s", "TTFT ms", "TPOT ms", "end ms", "errors"]
    return ["", *layout(header, rows)] if rows else []


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _notes(comparison: ComparisonFile, text: str) -> list[str]:
    notes = []
    if "?" in text:
        notes.append("? not proven within the margin")
    if "#" in text:
        notes.append("# no signal: proves nothing")
    if "!" in text:
        notes.append("! worse beyond the margin")
    void = dict.fromkeys(v.why_void for v in comparison.variants if v.why_void)
    if void:
        notes.append(f"* void: {next(iter(void)) if len(void) == 1 else 'see below'}")
    if any(is_emulated(variant) for variant in comparison.variants):
        notes.append("~ emulated: quality counts, speed does not")
    return ["  ".join(notes)] if notes else []


def render_terminal(
    comparison: ComparisonFile,
    verdict: VerdictFile,
    *,
    at: LoadPoint | None = None,
    width: int | None = None,
) -> str:
    """The table, the verdict and its evidence as plain text without colour.

    ``at`` is the load to show (None: the highest), ``width`` that of the sentences in characters
    (None: the terminal's).
    """
    at = at or pick([level.point for v in comparison.variants for level in v.load], None)
    tasks = list(dict.fromkeys(task for v in comparison.variants for task in v.quality))
    header = ["  variant", "verdict", "tok/s", "ratio", "TTFT ms", "TPOT ms", "MiB"]
    header += _memories(comparison)
    header += [_title(comparison.variants, task) for task in tasks]
    lines = layout(header, _rows(comparison, verdict, at, tasks))
    lines += _notes(comparison, "\n".join(lines))
    lines += _noise(comparison, at)
    lines += asked_lines(comparison.variants)
    lines += _saturations(comparison)
    lines += _stress(comparison)
    lines += divergence_lines(comparison)
    lines += answers_lines(comparison)
    if at is not None:
        lines.insert(0, f"{comparison.model} at {at.label}, medians; MiB are the weights")
    wide = width or max(60, shutil.get_terminal_size((100, 24)).columns)
    lines += ["", *textwrap.wrap(verdict.sentence, wide)]
    for text in [
        *verdict.reasons,
        *verdict.next_run,
        *verdict.sensitivity,
        *(f"But: {caveat}" for caveat in verdict.caveats),
    ]:
        lines += textwrap.wrap(text, wide, initial_indent="  - ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"
