"""One variant against every objective: what it meets, misses, or leaves open. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.plan_sections import Objectives
from eval import verdict_words as words
from eval.schema import ComparisonFile, LoadComparison, VariantComparison
from loadtest.intervals import Estimate

# The share of requests that must meet every latency objective.
SLO_SHARE = 0.95
GIB = 1 << 30
EMULATED = "speed and memory: emulated; its quality counts, its speed and memory do not"
NO_MEMORY = "memory: unknown, it could not be read of all the engine's processes"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A variant as the objectives see it; ``score`` is the preferred figure, None if unknown."""

    variant: VariantComparison
    level: LoadComparison | None
    failed: list[str]
    undecided: list[str]
    score: Estimate | None

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


def measured_concurrency(comparison: ComparisonFile, objectives: Objectives) -> int | None:
    """The load at which speed is compared: the plan's, or the highest that was measured."""
    if objectives.concurrency is not None:
        return objectives.concurrency
    levels = [level.concurrency for v in comparison.variants for level in v.load]
    return max(levels, default=None)


def _judge_quality(
    variant: VariantComparison, tasks: Sequence[str], comparison: ComparisonFile, confidence: float
) -> tuple[list[str], list[str]]:
    failed, undecided = [], []
    for task in tasks:
        result = variant.quality.get(task)
        if result is None:
            reason = variant.refused_tasks.get(task, "it was not asked")
            undecided.append(f"{task}: not measured ({reason})")
        elif result.verdict == "worse":
            failed.append(words.worse_task(task, result, comparison.baseline))
        elif result.verdict == "undecided":
            undecided.append(words.undecided_task(task, result, confidence))
    return failed, undecided


def _judge_memory(
    variant: VariantComparison, limit_gib: float | None
) -> tuple[list[str], list[str]]:
    if limit_gib is None:
        return [], []
    if variant.memory_bytes is None:
        return [], [NO_MEMORY]
    used = variant.memory_bytes / GIB
    over = used > limit_gib
    return ([f"memory: {used:.2f} GiB in use, {limit_gib:g} allowed"] if over else []), []


def _judge_speed(
    variant: VariantComparison, level: LoadComparison | None, objectives: Objectives
) -> tuple[list[str], list[str]]:
    if level is None:
        return [], ["speed: no load figures at the compared concurrency"]
    if variant.saturated_client:
        return [], ["speed: void, the load generator itself was the limit"]
    share, slo = level.goodput_share, objectives.slo
    if share.value < SLO_SHARE and (share.high is None or share.high >= SLO_SHARE):
        return [], [words.unproven_slo(level, slo, SLO_SHARE)]
    if share.value < SLO_SHARE:
        return [words.missed_slo(level, slo, SLO_SHARE)], []
    asked = any(limit is not None for limit in (slo.ttft_s, slo.tpot_s, slo.e2e_s))
    if asked and (share.low is None or share.low < SLO_SHARE):
        return [], [words.unproven_slo(level, slo, SLO_SHARE)]
    return [], []


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
    if level is None or variant.saturated_client:
        return None
    return level.goodput_per_s if objectives.prefer == "goodput" else level.e2e_s.get("p50")


def failure_words(reason: str) -> str:
    """Why a variant that could not be measured is out."""
    return f"failed: {reason}"


def judge(
    variant: VariantComparison, comparison: ComparisonFile, objectives: Objectives
) -> Candidate:
    """Hold one variant against every objective."""
    at = measured_concurrency(comparison, objectives)
    level = next((level for level in variant.load if level.concurrency == at), None)
    tasks = list(dict.fromkeys(task for v in comparison.variants for task in v.quality))
    tasks += [t for t in variant.refused_tasks if t not in tasks]
    emulated = words.is_emulated(variant)
    cost = (
        [([], [EMULATED])]
        if emulated
        else [
            _judge_memory(variant, objectives.memory_gib),
            _judge_speed(variant, level, objectives),
        ]
    )
    judged = [_judge_quality(variant, tasks, comparison, objectives.confidence), *cost]
    score = preferred_figure(variant, level, objectives)
    undecided = [reason for _, reasons in judged for reason in reasons]
    if score is None and not emulated and objectives.prefer == "memory":
        undecided += [NO_MEMORY] if NO_MEMORY not in undecided else []
    elif not (score or emulated or level is None or variant.saturated_client):
        undecided.append("latency: too few requests to tell the median")
    broken = comparison.failed.get(variant.variant)
    return Candidate(
        variant=variant,
        level=level,
        failed=[
            *([failure_words(broken)] if broken is not None else []),
            *(reason for reasons, _ in judged for reason in reasons),
        ],
        undecided=undecided,
        score=score,
    )
