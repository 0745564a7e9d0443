"""The verdict: which variant to run, or that the evidence does not say, in words. Pure functions.

What is decided, and at which error rate, stands in ``eval/decision/choice.py``.
"""

from collections.abc import Sequence

from deploy.plan_sections import Objectives
from eval import verdict_evidence as evidence
from eval import verdict_words as words
from eval.decision.choice import Choice, choose
from eval.decision.judging import Candidate, failure
from eval.decision.next_run import next_runs
from eval.decision.other_margins import other_margins
from eval.reasons import Reason, sentences
from eval.schema import ComparisonFile, Ranked, VerdictFile
from eval.verdict_records import verdict_records


def decide(
    comparison: ComparisonFile, objectives: Objectives, *, notes: Sequence[str] = ()
) -> VerdictFile:
    """Rank the variants and give one verdict; ``notes`` are added to the caveats as they are."""
    found = choose(comparison, objectives)
    view = words.View(comparison=comparison, objectives=objectives)
    sentence, reasons = _told(view, found)
    unsettled = [] if found.chosen else [*found.rivals, *found.open]
    told = VerdictFile(
        outcome=found.outcome,
        variant=found.chosen.name if found.chosen else None,
        sentence=sentence,
        reasons=reasons,
        caveats=[*evidence.caveats(view, _left_open(found)), *notes],
        ranking=[*(_ranked(c) for c in found.order), *_absent(comparison)],
        smallest_passing=_smallest(found.passing),
        fastest_passing=_fastest(found.passing),
        next_run=next_runs(comparison, objectives, unsettled),
        sensitivity=other_margins(comparison, objectives),
    )
    return told.model_copy(update={"records": verdict_records(comparison, told)})


def _told(view: words.View, found: Choice) -> tuple[str, list[str]]:
    """The answer in a sentence, and what it rests on."""
    if found.chosen is not None:
        best, equal = found.chosen, [c.name for c in found.equal]
        return (
            words.recommendation(view, best.variant, best.level),
            evidence.reasons(view, best.variant, best.level, equal),
        )
    if found.outcome == "not_enough_evidence":
        rival, safe = found.rivals[0], found.best is not None
        cost = evidence.cost_reason(view, rival.variant, rival.level)
        return (
            words.not_enough(view, rival.variant, rival.level, rival.undecided, fallback=safe),
            [*sentences(rival.undecided), *cost],
        )
    reasons = [f"{c.name}: {'; '.join(sentences(c.failed))}" for c in found.order if c.failed]
    reasons += [f"{it.variant}: {it.failed[0].sentence}" for it in _absent(view.comparison)]
    nearest = found.nearest
    return words.none_qualifies(view, nearest.name, nearest.failed), reasons


def _left_open(found: Choice) -> list[tuple[str, list[Reason]]]:
    """What is undecided of whom; of the one that the answer itself is about, it stands there."""
    told = found.rivals[:1] if found.outcome == "not_enough_evidence" else ()
    return [(c.name, c.undecided) for c in found.open if c not in told]


def _ranked(candidate: Candidate) -> Ranked:
    return Ranked(
        variant=candidate.name,
        passes=candidate.passes,
        failed=candidate.failed,
        undecided=candidate.undecided,
        score=candidate.score.value if candidate.score else None,
    )


def _absent(comparison: ComparisonFile) -> list[Ranked]:
    """The variants that were never served, after all others."""
    there = {variant.variant for variant in comparison.variants}
    return [
        Ranked(variant=name, passes=False, failed=[failure(why)], undecided=[], score=None)
        for name, why in comparison.failed.items()
        if name not in there
    ]


def _smallest(passing: Sequence[Candidate]) -> str | None:
    weights = [(c.variant.weight_bytes, c.name) for c in passing]
    return min(weights)[-1] if weights else None


def _fastest(passing: Sequence[Candidate]) -> str | None:
    speeds = [(c.level.output_tok_per_s.value, c.name) for c in passing if c.level is not None]
    return max(speeds)[1] if speeds else None
