"""Which variant to run, by one decision with one error rate. Pure functions.

A variant passes when every task is proven within its margin, its endpoint fits the memory and
enough requests meet the latency objectives (``proofs.py``), and when that stays proven among all
variants that are compared (``families.py``). What could not be measured is not passed but
undecided. Among those that pass the plan's preference decides; those that cannot be told apart from
the best are equal, and the smallest of them wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from deploy.plan_sections import Objectives
from eval.decision.families import half_error, holm, holm_limits
from eval.decision.judging import Candidate, judge
from eval.decision.ranking import equal_to_first, rank
from eval.decision.told_apart import beats
from eval.reasons import Reason
from eval.schema import ComparisonFile

Outcome = Literal["recommended", "none_qualifies", "not_enough_evidence"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """``order`` holds all, best first; ``open`` what could be deployed and is undecided.

    ``best`` passes and is first; ``equal`` pass and cannot be told from it; ``rivals`` are open and
    would beat it. ``chosen`` is recommended.
    """

    outcome: Outcome
    order: Sequence[Candidate]
    open: Sequence[Candidate]
    best: Candidate | None
    equal: Sequence[Candidate]
    rivals: Sequence[Candidate]

    @property
    def chosen(self) -> Candidate | None:
        """What is recommended, where anything is."""
        return self.best if self.outcome == "recommended" else None

    @property
    def passing(self) -> list[Candidate]:
        """All that pass, best first."""
        return [candidate for candidate in self.order if candidate.passes]

    @property
    def nearest(self) -> Candidate:
        """What misses least of all that could be deployed."""
        return self.order[0]


def proven_together(
    candidates: Sequence[Candidate], baseline: str, confidence: float
) -> list[Candidate]:
    """The candidates, where proven by themselves alone is not proven.

    The family are all variants beside the baseline whose figures count, whether they pass or not.
    """
    family = {
        c.name: c.p_value if c.passes else 1.0
        for c in candidates
        if c.name != baseline and not c.is_emulated
    }
    error = half_error(confidence)
    limits, proven = holm_limits(family, error), holm(family, error)
    return [
        replace(c, undecided=[_alone(c.p_value, limits, family)])
        if c.passes and c.name in family and c.name not in proven
        else c
        for c in candidates
    ]


def _alone(p_value: float, limits: dict[str, float], family: dict[str, float]) -> Reason:
    """Why one that meets every objective by its own intervals is left open."""
    limit = next(limits[it] for it in limits if family[it] > limits[it])
    return Reason(
        objective="together",
        words=(
            f"proven by itself (p = {p_value:.2g}), but {len(family)} variants are compared, so "
            f"it takes p = {limit:.2g}; more items would tell (quality.limit)"
        ),
    )


def choose(comparison: ComparisonFile, objectives: Objectives) -> Choice:
    """Judge all variants, order them, and say what to run.

    When only the baseline passes while a variant that beats it is merely unproven, or nothing
    passes but something is unproven, the evidence is not enough. An emulated variant decides
    nothing unless all are.
    """
    judged = [judge(variant, comparison, objectives) for variant in comparison.variants]
    judged = proven_together(judged, comparison.baseline, objectives.confidence)
    order = rank(judged, objectives.prefer, objectives.confidence)
    serving = [c for c in order if not c.is_emulated] or order
    passing = [c for c in serving if c.passes]
    open_ = [c for c in serving if not c.failed and c.undecided]
    best = passing[0] if passing else None
    rivals = [c for c in open_ if best is None or beats(c, best, objectives.prefer)]
    equal = _equal_to(best, passing, objectives) if best else []
    if best is not None and not (best.name == comparison.baseline and rivals):
        outcome: Outcome = "recommended"
    else:
        outcome = "not_enough_evidence" if best is not None or open_ else "none_qualifies"
    return Choice(outcome=outcome, order=order, open=open_, best=best, equal=equal, rivals=rivals)


def _equal_to(
    best: Candidate, passing: Sequence[Candidate], objectives: Objectives
) -> list[Candidate]:
    found = equal_to_first(passing, objectives.prefer, objectives.confidence)
    return [c for c in found if c is not best]
