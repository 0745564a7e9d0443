"""The verdict: which variant to run, or that the evidence does not say. Pure functions.

A variant passes when every task is proven within its margin, its endpoint fits the memory, and
enough requests meet the latency objectives at the plan's load point. What could not be measured
is not passed but undecided. Among the variants that pass, the plan's preference decides; those
that the measurement cannot tell apart from the best are equal, and the smallest of them wins.
Speeds are told apart round by round, so what slowed the machine for all decides nothing.
"""

from collections.abc import Sequence

from deploy.plan_sections import Objectives
from eval import verdict_evidence as evidence
from eval import verdict_words as words
from eval.judging import Candidate, failure, judge, size_key
from eval.reasons import sentences
from eval.schema import ComparisonFile, Ranked, VerdictFile
from loadtest.intervals import Estimate
from loadtest.pairing import Figure, ratio


def are_equal(one: Estimate, other: Estimate) -> bool:
    """Whether two figures cannot be told apart: their intervals overlap, or one has none."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high


def _figure(prefer: str) -> Figure:
    """The preferred figure of a round."""
    if prefer == "goodput":
        return lambda found: found.goodput_per_s
    return lambda found: found.e2e_p50_s


def cannot_be_told_apart(one: Candidate, other: Candidate, prefer: str) -> bool:
    """Whether two candidates are equal in the preferred figure.

    Speeds are told apart by the ratio of their rounds: its interval holds 1, or there is none.
    Where there are no rounds, or one brought nothing, and of memory, by their own intervals.
    """
    if one.score is None or other.score is None:
        return False
    mine, theirs = (() if c.level is None else c.level.rounds for c in (one, other))
    anytime = one.level is not None and one.level.anytime
    found = None if prefer == "memory" else ratio(mine, theirs, _figure(prefer), anytime=anytime)
    if found is None:
        return are_equal(one.score, other.score)
    return found.bounds is None or found.covers(1)


def rank(candidates: Sequence[Candidate], prefer: str) -> list[Candidate]:
    """Best first: passing, then undecided, then failing; by the preferred figure within each.

    The smallest of those that equal the best of a class goes first. Those without the figure come
    last: the fewer objectives one leaves open the earlier, and then the smaller.
    """
    sign = -1.0 if prefer == "goodput" else 1.0
    ranked: list[Candidate] = []
    for wanted in (0, 1, 2):
        pool = [c for c in candidates if (2 if c.failed else 1 if c.undecided else 0) == wanted]
        size = size_key(pool)
        pool.sort(
            key=lambda c: (
                sign * c.score.value if c.score else float("inf"),
                len(c.failed) + len(c.undecided),
                size(c),
            )
        )
        equal = [c for c in pool if cannot_be_told_apart(c, pool[0], prefer)]
        if equal:
            first = min(equal, key=size_key(equal))
            pool = [first, *(c for c in pool if c is not first)]
        ranked += pool
    return ranked


def _beats(one: Candidate, other: Candidate, prefer: str) -> bool:
    """Whether one is better than the other by more than the measurement's interval."""
    if one.score is None or other.score is None or cannot_be_told_apart(one, other, prefer):
        return False
    higher = one.score.value > other.score.value
    return higher if prefer == "goodput" else not higher


def decide(
    comparison: ComparisonFile, objectives: Objectives, *, notes: Sequence[str] = ()
) -> VerdictFile:
    """Rank the variants and give one verdict; ``notes`` are added to the caveats as they are.

    Recommended is a variant that passes. When only the baseline passes while a variant that beats
    it is merely unproven, or nothing passes but something is unproven, the evidence is not enough.
    """
    judged = [judge(variant, comparison, objectives) for variant in comparison.variants]
    absent = {
        name: why for name, why in comparison.failed.items() if name not in {c.name for c in judged}
    }
    order = rank(judged, objectives.prefer)
    passing = [candidate for candidate in order if candidate.passes]
    open_ = [c for c in order if not c.failed and c.undecided]
    baseline = next(c for c in order if c.name == comparison.baseline)
    best = passing[0] if passing else None
    rivals = [c for c in open_ if best is None or _beats(c, best, objectives.prefer)]
    view = words.View(comparison=comparison, objectives=objectives)
    equal = [
        c.name for c in passing[1:] if best and cannot_be_told_apart(best, c, objectives.prefer)
    ]
    caveats = [*evidence.caveats(view, [(c.name, c.undecided) for c in open_]), *notes]
    if best is not None and not (best is baseline and rivals):
        outcome, variant = "recommended", best.name
        sentence = words.recommendation(view, best.variant, best.level)
        reasons = evidence.reasons(view, best.variant, best.level, equal)
    elif best is not None or open_:
        outcome, variant = "not_enough_evidence", None
        sentence = words.not_enough(
            view, rivals[0].variant, rivals[0].level, rivals[0].undecided, fallback=best is not None
        )
        reasons = sentences(rivals[0].undecided)
    else:
        outcome, variant = "none_qualifies", None
        sentence = words.none_qualifies(view, order[0].name, order[0].failed)
        reasons = [f"{c.name}: {'; '.join(sentences(c.failed))}" for c in order]
        reasons += [f"{name}: {failure(why).sentence}" for name, why in absent.items()]
    return VerdictFile(
        outcome=outcome,
        variant=variant,
        sentence=sentence,
        reasons=reasons,
        caveats=caveats,
        ranking=[
            Ranked(
                variant=c.name,
                passes=c.passes,
                failed=c.failed,
                undecided=c.undecided,
                score=c.score.value if c.score else None,
            )
            for c in order
        ]
        + [
            Ranked(variant=n, passes=False, failed=[failure(why)], undecided=[], score=None)
            for n, why in absent.items()
        ],
        smallest_passing=_smallest(passing),
        fastest_passing=_fastest(passing),
    )


def _smallest(passing: Sequence[Candidate]) -> str | None:
    weights = [(c.variant.weight_bytes, c.name) for c in passing]
    return min(weights)[-1] if weights else None


def _fastest(passing: Sequence[Candidate]) -> str | None:
    speeds = [(c.level.output_tok_per_s.value, c.name) for c in passing if c.level is not None]
    return max(speeds)[1] if speeds else None
