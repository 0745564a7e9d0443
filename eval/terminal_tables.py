"""The tables below the verdict's own on the terminal: divergence, and written answers. Pure."""

from collections.abc import Callable, Sequence

from eval.divergence.divergence_figures import WHOLE, Divergence
from eval.schema import ComparisonFile, VariantComparison
from eval.verdict_words import is_emulated
from loadtest.intervals import Estimate

UNKNOWN = "-"
READINGS = {"floor": "none seen", "screen": "a screen", "apart": "apart"}


def layout(header: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 2) -> list[str]:
    """Columns as wide as their widest cell; the first are ``names``, to the left, then figures."""
    table = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = []
    for row in table:
        left = [cell.ljust(width) for cell, width in zip(row[:names], widths[:names], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[names:], widths[names:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    return [lines[0], "-" * max(len(line) for line in lines), *lines[1:]]


def between(found: Estimate | None, write: Callable[[float], str]) -> str:
    """A figure with its interval, as far as they are known."""
    if found is None:
        return UNKNOWN
    bounds = f" [{', '.join(map(write, found.bounds))}]" if found.bounds else ""
    return write(found.value) + bounds


def divergence_lines(comparison: ComparisonFile) -> list[str]:
    """How far each variant's predictions lie from the baseline's; empty where none were scored."""
    rows = [
        [f"  {variant.variant}", READINGS[found.reading], *_divergence_cells(found)]
        for variant in comparison.variants
        if (found := variant.divergence.get(WHOLE)) is not None
    ]
    header = ["  divergence", "reads", "KL nats/tok", "floor", "excess", "p99", "worst 10 %"]
    header += ["same top", "perplexity", "same answers"]
    return ["", *layout(header, rows)] if rows else []


def _divergence_cells(found: Divergence) -> list[str]:
    answers = found.answers
    return [
        _small(found.kl.value),
        UNKNOWN if found.floor is None else _small(found.floor.kl),
        between(found.excess, _small),
        _small(found.p99),
        _small(found.worst_tenth),
        f"{100 * found.same_first.value:.1f} %",
        between(found.perplexity_ratio, lambda it: f"{it:.3f}"),
        UNKNOWN
        if answers is None
        else f"{answers.same.value * answers.answers:.0f}/{answers.answers}",
    ]


def _small(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"


def answers_lines(comparison: ComparisonFile) -> list[str]:
    """What written answers came to, and what a right one costs; empty where none were written."""
    told = [(it, it.answers) for it in comparison.variants if it.answers is not None]
    rows = [
        [f"  {variant.variant}", _others(variant), *_answer_cells(variant)] for variant, _ in told
    ]
    header = ["  written answers", "not right", "right", "tokens", "x baseline's", "alike x"]
    header += ["tokens/right", "s/right", "cost/right", "J/right"]
    return ["", *layout(header, rows)] if rows else []


def _others(variant: VariantComparison) -> str:
    assert variant.answers is not None
    counts = variant.answers.outcomes
    return ", ".join(f"{n} {name}" for name, n in counts.items() if name != "right") or "none"


def _answer_cells(variant: VariantComparison) -> list[str]:
    found = variant.answers
    assert found is not None
    counts = not is_emulated(variant)
    return [
        f"{found.outcomes.get('right', 0)}/{sum(found.outcomes.values())}",
        f"{found.tokens.value:.0f}",
        between(found.inflation, lambda it: f"{it:.2f}"),
        between(found.inflation_alike, lambda it: f"{it:.2f}"),
        between(found.tokens_per_right, lambda it: f"{it:.0f}"),
        *(
            between(it if counts else None, lambda value: f"{value:.3g}")
            for it in (found.seconds_per_right, found.price_per_right, found.joules_per_right)
        ),
    ]
