"""What changed between two runs, as text for a terminal and as Markdown for a pull request."""

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence

from eval.terminal_tables import layout
from eval.two_runs.change_file import QUALITY, Change, ChangeFile, Finding, Metric
from eval.two_runs.judged import is_tested
from loadtest.intervals import Estimate

NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "nll_per_token": "nats per token",
    "output_tok_per_s": "output tokens/s",
    "ttft_p50_s": "TTFT, median",
    "tpot_p50_s": "TPOT, median",
    "weight_bytes": "weights",
    "memory_bytes": "memory in use",
}
WORDS: dict[Finding, str] = {
    "worse": "worse",
    "better": "better",
    "same": "the same",
    "undecided": "not proven",
    "void": "void",
    "not_judged": "not judged",
}
_SIGNS: dict[Finding, str] = {
    "worse": "✗", "better": "✓", "same": "=", "undecided": "?", "void": "!", "not_judged": "–",
}  # fmt: skip
_ORDER: Sequence[Finding] = ("worse", "better", "void", "undecided", "same", "not_judged")
_HEADER = ("", "variant", "figure", "of", "before", "after", "change", "interval", "p")
_COLUMNS = (
    *("variant", "metric", "task", "load", "before", "after", "change", "change_low"),
    *("change_high", "paired", "units", "allowed", "margin", "p_value", "finding", "why"),
)
MOST_SETTINGS = 20


def sentence(told: ChangeFile) -> str:
    """The answer in one sentence."""
    counts = {finding: _count(told, finding) for finding in _ORDER}
    judged = sum(counts.values()) - counts["not_judged"] - counts["void"]
    rest = (
        f"{counts['better']} better, {counts['same']} the same, {counts['undecided']} not proven "
        f"either way, {counts['void']} void, {counts['not_judged']} not judged"
    )
    if counts["worse"]:
        first = next(it for it in told.changes if it.finding == "worse")
        return (
            f"Worse: {counts['worse']} of {judged} figures are proven worse, first {_place(first)} "
            f"({change_words(first)}); {rest}."
        )
    if told.lost:
        return (
            f"Void: {len(told.lost)} of what was measured before has no figure now, first "
            f"{next(iter(told.lost))}; nothing is proven worse among {judged} figures: {rest}."
        )
    if not judged:
        return f"Void: no figure of both runs could be judged; {rest}."
    if counts["void"]:
        return (
            f"Void: {counts['void']} figures were disturbed, so what they hide is not known; "
            f"nothing is proven worse among {judged} others: {rest}."
        )
    return f"Nothing is proven worse among {judged} figures: {rest}."


def _count(told: ChangeFile, finding: Finding) -> int:
    return sum(change.finding == finding for change in told.changes)


def _place(change: Change) -> str:
    where = f" on {change.task}" if change.task else f" at {change.load}" if change.load else ""
    return f"{change.variant}'s {NAMES[change.metric]}{where}"


def change_words(change: Change) -> str:
    """By how much: points, nats, or a ratio."""
    value = change.change.value
    if change.metric == "accuracy":
        return f"{100 * value:+.1f} points"
    return f"{value:+.3f} nats" if change.metric in QUALITY else f"{value:.2f}x"


def interval_of(change: Change) -> str:
    """The bounds in the same unit; empty where none can be given."""
    scale, digits = (100, 1) if change.metric == "accuracy" else (1, 3)
    sign = "+" if change.metric in QUALITY else ""
    digits = digits if change.metric in QUALITY else 2
    bounds = change.change.bounds
    return "" if bounds is None else " to ".join(f"{scale * it:{sign}.{digits}f}" for it in bounds)


def figure_words(metric: Metric, found: Estimate) -> str:
    """A figure of one run in its unit."""
    value = found.value
    if metric == "accuracy":
        return f"{100 * value:.1f} %"
    if metric == "nll_per_token":
        return f"{value:.3f}"
    if metric == "output_tok_per_s":
        return f"{value:,.0f}"
    if metric in {"ttft_p50_s", "tpot_p50_s"}:
        return f"{1000 * value:,.1f} ms"
    return f"{value / (1 << 20):,.1f} MiB"


def in_order(told: ChangeFile) -> list[Change]:
    """What is proven first; within a finding as they were measured."""
    return sorted(told.changes, key=lambda it: _ORDER.index(it.finding))


def _row(change: Change) -> tuple[str, ...]:
    return (
        f"{_SIGNS[change.finding]} {WORDS[change.finding]}",
        change.variant,
        NAMES[change.metric],
        change.place,
        figure_words(change.metric, change.before),
        figure_words(change.metric, change.after),
        change_words(change),
        interval_of(change),
        f"{change.p_value:.2g}" if is_tested(change) else "",
    )


def how_tested(told: ChangeFile) -> str:
    """What the findings rest on, in a sentence or two."""
    paired = sum(change.paired and is_tested(change) for change in told.changes)
    return (
        f"{told.tests} tests, right together with {100 * told.confidence:g} % (Holm), {paired} "
        f"paired item by item. Speeds are of two sessions: {100 * told.tolerance:g} % of "
        "difference is not charged. “The same” lies within the plan's margin, each by its own "
        "interval."
    )


def as_text(told: ChangeFile, width: int = 100) -> str:
    """For the terminal: the answer, the table, what differs."""
    shown = [it for it in in_order(told) if it.finding not in {"not_judged", "void"}]
    table = layout(_HEADER, [_row(change) for change in shown], names=4)
    lines = [f"{told.before.run} → {told.after.run}", "", *table] if shown else []
    lines += ["", *textwrap.wrap(told.sentence, width)]
    said = [how_tested(told), *_reasons(told), *told.caveats, *_settings(told)]
    for words in said:
        lines += textwrap.wrap(words, width, initial_indent="  - ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"


def _reasons(told: ChangeFile) -> list[str]:
    """Why figures are not judged, each reason once."""
    found: dict[str, list[str]] = {}
    for change in told.changes:
        if change.finding in {"not_judged", "void"} and change.why:
            found.setdefault(change.why, []).append(f"{change.variant} {NAMES[change.metric]}")
    said = [f"Not judged ({why}): {_names(names)}." for why, names in found.items()]
    gone = {**told.left_out, **{name: f"lost: {why}" for name, why in told.lost.items()}}
    return said + [f"{name}: {why}." for name, why in gone.items()]


def _names(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    shown = ", ".join(every[:4])
    return shown if len(every) <= 4 else f"{shown} and {len(every) - 4} more"


def _settings(told: ChangeFile) -> list[str]:
    found = [
        f"{it.kind} {it.name}: {it.before or 'none'} → {it.after or 'none'}"
        for it in told.settings[:MOST_SETTINGS]
    ]
    more = len(told.settings) - MOST_SETTINGS
    if not found:
        return ["Machine, software, engines, weights and plan are the same in both."]
    return [*found, *([f"{more} more settings differ: see change.json"] if more > 0 else [])]


def as_markdown(told: ChangeFile) -> str:
    """For a pull request: the answer, what is proven or open, and the rest folded away."""
    loud: tuple[Finding, ...] = ("worse", "better", "void", "undecided")
    first = [it for it in in_order(told) if it.finding in loud]
    rest = [it for it in in_order(told) if it.finding not in loud]
    mark = {"worse": "❌", "void": "⚠️", "not_worse": "✅"}[told.outcome]
    parts = [f"### {mark} `{told.before.run}` → `{told.after.run}`", told.sentence]
    parts += [_table(first)] if first else []
    parts += [_folded(f"{len(rest)} figures the same or not judged", _table(rest))] if rest else []
    said = [*_reasons(told), *told.caveats, *_settings(told)]
    parts.append(_folded("What differs, and why some are not judged", _list(said)))
    return "\n\n".join([*parts, how_tested(told)]) + "\n"


def _table(changes: Sequence[Change]) -> str:
    head = ["finding", *_HEADER[1:]]
    rows = [_markdown_row(head), _markdown_row(["---"] * 4 + ["---:"] * 5)]
    return "\n".join([*rows, *(_markdown_row(_row(change)) for change in changes)])


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(cell: str) -> str:
    """A cell that stays one, whatever stands in it."""
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def as_csv(told: ChangeFile) -> str:
    """A row per figure with its exact numbers."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for it in told.changes:
        figures = (it.before.value, it.after.value, it.change.value, it.change.low, it.change.high)
        place = (it.variant, it.metric, it.task, it.load)
        proof = (it.paired, it.units, it.allowed, it.margin, it.p_value, it.finding, it.why)
        writer.writerow([*place, *figures, *proof])
    return file.getvalue()
