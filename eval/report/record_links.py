"""From a sentence of the verdict to the place of the page where its records are shown."""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.drawing.glyphs import Mark
from eval.report.flip_answers import FlipGroup
from eval.report.report_inputs import Run
from eval.report.report_panels import task_anchor
from eval.schema import VariantComparison
from eval.verdict_records import unescaped

# Of a sentence that names more, the first are linked.
MOST_LINKS = 4


@dataclass(frozen=True, kw_only=True)
class RecordLink:
    """A link within the page: its short words, the anchor, and the JSON pointer behind it."""

    words: str
    anchor: str
    pointer: str


def record_links(run: Run, marks: Mapping[str, Mark]) -> dict[str, list[RecordLink]]:
    """The links of every sentence that rests on a record."""
    found = {
        words: [link for it in pointers if (link := _link(run, marks, it))]
        for words, pointers in run.verdict.records.items()
    }
    return {words: links[:MOST_LINKS] for words, links in found.items() if links}


def flips_anchor(run: Run, marks: Mapping[str, Mark], group: FlipGroup) -> str:
    """The name of a group of flipped answers for links of the page."""
    return f"flips-{marks[group.variant].key}-{task_anchor(run, group.task)}"


def _link(run: Run, marks: Mapping[str, Mark], pointer: str) -> RecordLink | None:
    _, _, number, *rest = pointer.split("/")
    variants = run.comparison.variants
    if not number.isdecimal() or int(number) >= len(variants):
        return None
    variant = variants[int(number)]
    words, anchor = _place(run, marks, variant, [unescaped(part) for part in rest])
    return RecordLink(words=words, anchor=anchor, pointer=pointer)


def _place(
    run: Run, marks: Mapping[str, Mark], variant: VariantComparison, rest: list[str]
) -> tuple[str, str]:
    if rest[:1] == ["load"]:
        return f"{variant.variant} under load", "load"
    if rest[:1] == ["quality"] and rest[1] in run.tasks:
        task = rest[1]
        for group in run.flips:
            if (group.variant, group.task) == (variant.variant, task):
                return f"{group.total} answers that flipped", flips_anchor(run, marks, group)
        return f"{variant.variant} on {task}", task_anchor(run, task)
    return f"{variant.variant}'s row", f"v{marks[variant.variant].key}"
