"""Which of our statistics call a pass another than the baseline, and whether bare accuracy does."""

import math
from dataclasses import dataclass

from eval.answering import Counting, answering
from eval.divergence.compare_texts import apart, compare_texts
from eval.divergence.divergence_figures import WHOLE, Divergence
from eval.paired import difference
from eval.samples import pair
from loadtest.intervals import Estimate
from loadtest.stats import z_value
from tests.benches.evidence.planted_pass import Pass

CONFIDENCE = 0.95
# Divergence, flips and lengths share one error rate (Bonferroni).
STATISTICS = 3
EACH = 1 - (1 - CONFIDENCE) / STATISTICS


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the statistics say of a pass, and bare accuracy of the same items.

    ``called`` names the statistics that tell it from the baseline; ``accuracy`` are both
    accuracies, ``by_accuracy`` says whether these two numbers tell it.
    """

    divergence: Divergence
    p_value: float
    length: Estimate
    outcomes: dict[str, int]
    accuracy: tuple[float, float]
    called: tuple[str, ...]
    by_accuracy: bool


def judge(mine: Pass, first: Pass, again: Pass) -> Found:
    """Hold a pass against the baseline's first, with its second as the floor."""
    seen = compare_texts(
        apart(first.scored, mine.scored),
        apart(first.scored, again.scored),
        [""] * (int(first.scored.text.max()) + 1),
        EACH,
    )[WHOLE]
    pairs = pair(mine.samples, first.samples)
    flips = difference(pairs, EACH).flips
    written = answering(mine.samples, pairs, Counting(confidence=EACH))
    assert flips is not None
    assert written is not None
    assert written.inflation is not None
    length = written.inflation
    called = {
        "divergence": seen.reading != "floor",
        "flips": flips.p_value < 1 - EACH,
        "length": length.bounds is not None and not length.covers(1),
    }
    accuracy = _right(mine), _right(first)
    return Found(
        divergence=seen,
        p_value=flips.p_value,
        length=length,
        outcomes=written.outcomes,
        accuracy=accuracy,
        called=tuple(name for name, told in called.items() if told),
        by_accuracy=_differ(*accuracy, len(pairs)),
    )


def _right(found: Pass) -> float:
    return sum(bool(sample.correct) for sample in found.samples) / len(found.samples)


def _differ(one: float, other: float, items: int) -> bool:
    """Whether two bare accuracies differ by more than chance: the z test of two proportions.

    As anybody tests them who knows the two numbers alone, and not which answers changed.
    """
    both = (one + other) / 2
    error = math.sqrt(2 * both * (1 - both) / items)
    return abs(one - other) > z_value(CONFIDENCE) * error
