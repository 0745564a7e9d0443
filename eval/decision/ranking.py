"""The order of the variants: best first, worst last. Pure functions.

Those that pass come first, then those that are undecided, then those that fail. Passing ones are
ordered by the preferred figure; the others by how much they miss what is asked before that, so a
ruined variant is last however fast it is. Emulated ones follow all that could be deployed.
"""

import math
from collections.abc import Sequence

from eval.decision.families import shared_confidence
from eval.decision.judging import Candidate, size_key
from eval.decision.told_apart import cannot_be_told_apart

PASSES, OPEN, FAILS = 0, 1, 2


def class_of(candidate: Candidate) -> int:
    """Whether it passes, is undecided, or fails."""
    return FAILS if candidate.failed else OPEN if candidate.undecided else PASSES


def _missed(candidate: Candidate) -> float:
    """By how much it misses; one that seems to meet all misses nothing."""
    return candidate.miss if candidate.miss > 1 else 0.0


def _by_figure(pool: Sequence[Candidate], prefer: str) -> list[Candidate]:
    """The least miss first, then the best figure; without one, what leaves less open, then size."""
    sign = -1.0 if prefer == "goodput" else 1.0
    size = size_key(pool)
    return sorted(
        pool,
        key=lambda c: (
            0.0 if class_of(c) == PASSES else _missed(c),
            sign * c.score.value if c.score else math.inf,
            len(c.failed) + len(c.undecided),
            size(c),
        ),
    )


def equal_to_first(pool: Sequence[Candidate], prefer: str, confidence: float) -> list[Candidate]:
    """Those of a class that the measurement cannot tell from its first, which is among them.

    Told apart at an error rate that all comparisons with the first share.
    """
    shared = shared_confidence(confidence, len(pool) - 1)
    alike = [c for c in pool[1:] if _missed(c) == _missed(pool[0])]
    return [pool[0], *(c for c in alike if cannot_be_told_apart(pool[0], c, prefer, shared))]


def rank(candidates: Sequence[Candidate], prefer: str, confidence: float) -> list[Candidate]:
    """Best first; the smallest of those that equal the best of a class goes first in it."""
    ranked: list[Candidate] = []
    for emulated in (False, True):
        for wanted in (PASSES, OPEN, FAILS):
            pool = [c for c in candidates if c.is_emulated is emulated and class_of(c) == wanted]
            pool = _by_figure(pool, prefer)
            if pool and wanted != FAILS:
                equal = equal_to_first(pool, prefer, confidence)
                first = min(equal, key=size_key(equal))
                pool = [first, *(c for c in pool if c is not first)]
            ranked += pool
    return ranked
