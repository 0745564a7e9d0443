"""Which of our statistics call a pass another than the baseline, and whether bare accuracy does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.answering import answering
from eval.divergence.compare_texts import apart, compare_texts
from eval.divergence.divergence_figures import WHOLE, Divergence
from eval.paired import difference
from eval.samples import Sample, pair
from loadtest.intervals import Estimate
from loadtest.stats import z_value
from tests.benches.evidence.planted_pass import CHOICES, WRITTEN, Pass

CONFIDENCE = 0.95
# Divergence, flips of two tasks, lengths: they share one error rate (Bonferroni).
STATISTICS = 4
EACH = 1 - (1 - CONFIDENCE) / STATISTICS
Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the statistics say of a pass, and bare accuracy of the same items.

    ``called`` names the statistics that tell it from the baseline, ``by_accuracy`` the tasks whose
    two accuracies do; ``accuracy`` are both accuracies of each task.
    """

    divergence: Divergence
    p_values: dict[str, float]
    inflation: Estimate | None
    accuracy: dict[str, tuple[float, float]]
    called: tuple[str, ...]
    by_accuracy: tuple[str, ...]


def judge(mine: Pass, first: Pass, again: Pass) -> Found:
    """Hold a pass against the baseline's first, with its second as the floor."""
    seen = compare_texts(
        apart(first.scored, mine.scored),
        apart(first.scored, again.scored),
        [""] * (int(first.scored.text.max()) + 1),
        EACH,
    )[WHOLE]
    p_values = {task: _p_value(mine.samples, first.samples, task) for task in (CHOICES, WRITTEN)}
    length = _inflation(mine.samples, first.samples)
    called = [
        *(["divergence"] if seen.reading != "floor" else []),
        *(f"flips in {task}" for task, p in p_values.items() if p < 1 - EACH),
        *(["length"] if length is not None and length.bounds and not length.covers(1) else []),
    ]
    tasks = (CHOICES, WRITTEN)
    return Found(
        divergence=seen,
        p_values=p_values,
        inflation=length,
        accuracy={task: (_right(mine, task), _right(first, task)) for task in tasks},
        called=tuple(called),
        by_accuracy=tuple(task for task in tasks if _differs(mine, first, task)),
    )


def _p_value(mine: Samples, theirs: Samples, task: str) -> float:
    found = difference(pair(mine[task], theirs[task]), EACH)
    assert found.flips is not None
    return found.flips.p_value


def _inflation(mine: Samples, theirs: Samples) -> Estimate | None:
    found = answering(mine[WRITTEN], pair(mine[WRITTEN], theirs[WRITTEN]), EACH)
    return None if found is None else found.inflation


def _right(found: Pass, task: str) -> float:
    samples = found.samples[task]
    return sum(bool(sample.correct) for sample in samples) / len(samples)


def _differs(mine: Pass, first: Pass, task: str) -> bool:
    """Whether two bare accuracies differ by more than chance: the z test of two proportions.

    As anybody tests them who knows the two numbers alone, and not which answers changed.
    """
    one, other, items = _right(mine, task), _right(first, task), len(mine.samples[task])
    both = (one + other) / 2
    error = math.sqrt(2 * both * (1 - both) / items)
    return abs(one - other) > z_value(CONFIDENCE) * error
