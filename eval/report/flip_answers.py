"""The answers that flipped, to be read: the question, what was right, and what both answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from eval.quality_files import pass_paths
from eval.samples import Sample, by_task, read_samples

# Of all variants and tasks together, so that the page stays small; each group shows some.
MOST_FLIPS, LEAST_SHOWN = 300, 4
_LONGEST = 320


@dataclass(frozen=True, kw_only=True)
class FlippedAnswer:
    """One item whose answer the variant and the baseline did not both get right.

    ``became`` says what the variant's written answer is, where that is more than wrong: truncated,
    empty, looping and the like.
    """

    item: int
    part: str
    became: str
    question: str
    right: str
    baseline: str
    variant: str
    to_wrong: bool


@dataclass(frozen=True, kw_only=True)
class FlipGroup:
    """The flips of one variant on one task; ``shown`` are the first of ``total``."""

    variant: str
    task: str
    to_wrong: int
    to_right: int
    shown: tuple[FlippedAnswer, ...]

    @property
    def total(self) -> int:
        """How many flipped."""
        return self.to_wrong + self.to_right


def read_flips(run_dir: Path, baseline: str, variants: Sequence[str]) -> tuple[FlipGroup, ...]:
    """Every variant's flips by task, in the order of ``variants``; none where none were kept."""
    theirs = _samples(run_dir, baseline)
    found = [
        (name, task, flips)
        for name in variants
        if name != baseline
        for task, mine in _samples(run_dir, name).items()
        if (flips := flipped(mine, theirs.get(task, ())))
    ]
    most = max(LEAST_SHOWN, MOST_FLIPS // max(1, len(found)))
    return tuple(_group(name, task, flips, most) for name, task, flips in found)


def _samples(run_dir: Path, variant: str) -> Mapping[str, Sequence[Sample]]:
    _, path = pass_paths(run_dir, variant, repeat=False)
    # A name that is no single folder has none; a file that cannot be read is told of elsewhere.
    if path.parent.parent != run_dir or not path.is_file():
        return {}
    try:
        return by_task(read_samples(path))
    except (pa.ArrowException, OSError, TypeError):
        return {}


def flipped(mine: Sequence[Sample], baseline: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """(variant, baseline) of the same questions where one alone is right, losses first."""
    others = {(it.item, it.prompt_sha256): it for it in baseline}
    pairs = [(it, others.get((it.item, it.prompt_sha256))) for it in mine]
    found = [
        (one, other)
        for one, other in pairs
        if other is not None and None not in (one.correct, other.correct)
        if one.correct != other.correct
    ]
    return sorted(found, key=lambda pair: (bool(pair[0].correct), pair[0].item))


def _group(name: str, task: str, flips: Sequence[tuple[Sample, Sample]], most: int) -> FlipGroup:
    to_wrong = sum(not mine.correct for mine, _ in flips)
    # Of both directions, as many of each as there are among all.
    losses = min(to_wrong, max(most - (len(flips) - to_wrong), -(-most * to_wrong // len(flips))))
    shown = [*flips[:losses], *flips[to_wrong : to_wrong + most - losses]]
    return FlipGroup(
        variant=name,
        task=task,
        to_wrong=to_wrong,
        to_right=len(flips) - to_wrong,
        shown=tuple(_answer(mine, other) for mine, other in shown),
    )


def _answer(mine: Sample, other: Sample) -> FlippedAnswer:
    return FlippedAnswer(
        item=mine.item,
        part=mine.stratum or "",
        became="" if mine.outcome in {None, "right", "wrong"} else str(mine.outcome),
        question=_end(mine.prompt or ""),
        right=_begin(mine.target or ""),
        baseline=_begin(other.answer or ""),
        variant=_begin(mine.answer or ""),
        to_wrong=not mine.correct,
    )


def _begin(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _end(words: str) -> str:
    return words if len(words) <= _LONGEST else f"…{words[-_LONGEST:]}"
