"""One variant against every objective: what it meets, misses, or leaves open. Pure functions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from deploy.plan_sections import Objectives
from eval import verdict_words as words
from eval.decision.families import shared_confidence
from eval.decision.misses import GIB, SLO_SHARE, worst_miss
from eval.decision.proofs import share_p_value, task_p_value, together
from eval.reasons import Reason
from eval.schema import ComparisonFile, LoadComparison, VariantComparison
from loadtest.intervals import Estimate
from loadtest.load_kinds import pick
from loadtest.load_point import LoadPoint
from loadtest.pairing import is_steady
from loadtest.stats import CONFIDENCE

# Answers of natural length whose means differ by more are not equally much work.
SAME_LENGTH = 0.05
EMULATED = Reason(
    objective="emulated", words="emulated; its quality counts, its speed and memory do not"
)
NO_MEMORY = Reason(
    objective="memory", words="unknown, it could not be read of all the engine's processes"
)
Judged = tuple[list[Reason], list[Reason]]
"""What a variant fails, and what it leaves open."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A variant as the objectives see it; ``score`` is the preferred figure, None if unknown.

    ``p_value`` is of "it misses at least one objective that it seems to meet", ``miss`` by how much
    it misses the worst (``misses.py``).
    """

    variant: VariantComparison
    level: LoadComparison | None
    failed: list[Reason]
    undecided: list[Reason]
    score: Estimate | None
    p_value: float
    miss: float

    @property
    def is_emulated(self) -> bool:
        """Whether it computes as no deployment would, so that its speed says nothing."""
        return words.is_emulated(self.variant)

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.variant

    @property
    def passes(self) -> bool:
        """Whether every objective is met, and proven to be."""
        return not self.failed and not self.undecided


def size_key(candidates: Sequence[Candidate]) -> Callable[[Candidate], tuple[int, int]]:
    """How to order candidates by what it costs to hold them: memory in use, then weights.

    Where the memory of any is unknown, or says nothing (emulation), all are ordered by their
    weights: memory of one is not held against a file of another.
    """
    known = all(
        c.variant.memory_bytes is not None and not words.is_emulated(c.variant) for c in candidates
    )

    def key(candidate: Candidate) -> tuple[int, int]:
        weights = candidate.variant.weight_bytes
        return (candidate.variant.memory_bytes or 0) if known else weights, weights

    return key


def compared_point(comparison: ComparisonFile, objectives: Objectives) -> LoadPoint | None:
    """The load at which speed is compared: the plan's, or the highest that was measured."""
    return pick([level.point for v in comparison.variants for level in v.load], objectives.load)


def _judge_quality(
    variant: VariantComparison, tasks: Sequence[str], comparison: ComparisonFile, confidence: float
) -> Judged:
    failed, undecided = [], []
    silent = {
        task
        for other in comparison.variants
        for task, found in other.quality.items()
        if found.no_signal is not None
    }
    for task in tasks:
        result = variant.quality.get(task)
        if result is None:
            why = variant.refused_tasks.get(task, "it was not asked")
            undecided.append(_on(task, f"not measured ({why})"))
        elif result.verdict == "worse":
            failed.append(_on(task, words.worse_task(result, comparison.baseline)))
        elif task in variant.refused_tasks:
            # What it cannot be asked may be what it would answer worse.
            why = variant.refused_tasks[task]
            undecided.append(_on(task, f"asked {result.items:,} items and no further ({why})"))
        elif result.verdict == "undecided":
            proof = shared_confidence(confidence, len(comparison.variants) - 1)
            undecided.append(_on(task, words.undecided_task(result, confidence, proof)))
    if tasks and silent.issuperset(tasks):
        undecided.append(Reason(objective="quality", words=words.NOTHING_PROVES))
    return failed, undecided


def _on(task: str, what: str) -> Reason:
    return Reason(objective="quality", task=task, words=what)


def _judge_memory(variant: VariantComparison, limit_gib: float | None) -> Judged:
    if limit_gib is None:
        return [], []
    if variant.memory_bytes is None:
        return [], [NO_MEMORY]
    used = variant.memory_bytes / GIB
    if used <= limit_gib:
        return [], []
    return [Reason(objective="memory", words=f"{used:.2f} GiB in use, {limit_gib:g} allowed")], []


def _judge_speed(
    variant: VariantComparison,
    level: LoadComparison | None,
    at: LoadPoint | None,
    comparison: ComparisonFile,
    objectives: Objectives,
) -> Judged:
    if level is None:
        return [], [_speed(f"no load figures at the compared {at.noun if at else 'load'}")]
    if variant.why_void:
        return [], [_speed(f"void, {variant.why_void}")]
    if not level.point.decides:
        return [], [
            _speed(f"{level.point.label}: such a load changes while it lasts and decides nothing")
        ]
    if not is_steady(level.settling):
        return [], [_speed(words.not_steady(level))]
    if (theirs := _other_length(level, comparison)) is not None:
        return [], [_speed(words.other_length(level, theirs, comparison.baseline))]
    share, slo = level.goodput_share, objectives.slo
    if share.value < SLO_SHARE and (share.high is None or share.high >= SLO_SHARE):
        return [], [_speed(words.unproven_slo(level, slo, SLO_SHARE))]
    if share.value < SLO_SHARE:
        return [_speed(words.missed_slo(level, slo, SLO_SHARE))], []
    if asks_latency(objectives) and (share.low is None or share.low < SLO_SHARE):
        return [], [_speed(words.unproven_slo(level, slo, SLO_SHARE))]
    return [], []


def _other_length(level: LoadComparison, comparison: ComparisonFile) -> float | None:
    """Tokens of the baseline's answers of natural length, where this variant's are others."""
    baseline = next(v for v in comparison.variants if v.variant == comparison.baseline)
    found = baseline.load_at(level.point)
    if level.answers is None or found is None or found.answers is None:
        return None
    mine, tokens = level.answers.tokens.value, found.answers.tokens.value
    alike = tokens <= mine * (1 + SAME_LENGTH) and mine <= tokens * (1 + SAME_LENGTH)
    return None if alike else tokens


def _p_value(
    variant: VariantComparison, level: LoadComparison | None, objectives: Objectives
) -> float:
    """Of all that is measured with an error: the tasks, and the share that meets the SLO."""
    confidence = objectives.confidence
    found = [
        task_p_value(result, confidence)
        for result in variant.quality.values()
        if result.verdict == "equal_or_better"
    ]
    if level is not None and asks_latency(objectives):
        found.append(share_p_value(level.goodput_share, SLO_SHARE, CONFIDENCE))
    return together(found)


def asks_latency(objectives: Objectives) -> bool:
    """Whether any latency is to be met."""
    slo = objectives.slo
    return any(limit is not None for limit in (slo.ttft_s, slo.tpot_s, slo.e2e_s))


def _speed(what: str) -> Reason:
    return Reason(objective="speed", words=what)


def preferred_figure(
    variant: VariantComparison, level: LoadComparison | None, objectives: Objectives
) -> Estimate | None:
    """What the plan prefers to maximise (goodput) or to minimise (latency, memory).

    Goodput in requests per second, latency as the median end to end in seconds, memory in bytes.
    None where it is unknown, or not the format's own but the emulation's.
    """
    if words.is_emulated(variant):
        return None
    if objectives.prefer == "memory":
        size = variant.memory_bytes
        return None if size is None else Estimate(value=size, low=size, high=size)
    if level is None or variant.why_void:
        return None
    if objectives.prefer == "goodput":
        return level.goodput_per_s
    found = level.e2e_s.get("p50")
    return found if found and isfinite(found.value) else None


def failure(why: str) -> Reason:
    """Why a variant that could not be measured is out."""
    return Reason(objective="failure", words=why)


def judge(
    variant: VariantComparison, comparison: ComparisonFile, objectives: Objectives
) -> Candidate:
    """Hold one variant against every objective."""
    at = compared_point(comparison, objectives)
    level = variant.load_at(at)
    tasks = list(dict.fromkeys(task for v in comparison.variants for task in v.quality))
    tasks += [t for t in variant.refused_tasks if t not in tasks]
    emulated = words.is_emulated(variant)
    cost: list[Judged] = (
        [([], [EMULATED])]
        if emulated
        else [
            _judge_memory(variant, objectives.memory_gib),
            _judge_speed(variant, level, at, comparison, objectives),
        ]
    )
    judged = [_judge_quality(variant, tasks, comparison, objectives.confidence), *cost]
    score = preferred_figure(variant, level, objectives)
    undecided = [reason for _, reasons in judged for reason in reasons]
    if score is None and not emulated and objectives.prefer == "memory":
        undecided += [NO_MEMORY] if NO_MEMORY not in undecided else []
    elif not (score or emulated or level is None or variant.why_void):
        failing = "p50" in level.e2e_s if level else False
        why = "half of its requests failed" if failing else "too few requests to tell the median"
        undecided.append(Reason(objective="latency", words=why))
    broken = comparison.failed.get(variant.variant)
    return Candidate(
        variant=variant,
        level=level,
        failed=[
            *([failure(broken)] if broken is not None else []),
            *(reason for reasons, _ in judged for reason in reasons),
        ],
        undecided=undecided,
        score=score,
        p_value=_p_value(variant, level, objectives),
        miss=math.inf if broken is not None else worst_miss(variant, level, objectives),
    )
