"""Whether a task can prove anything of a model: pure functions over the baseline's answers.

A task on which the baseline does no better than guessing, or answers nothing, or everything, says
the same of a variant whether it lost all of its quality or none: 0 of 500 against 0 of 500 is no
proof of equality. Such a task has no signal, and does not count.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from scipy import stats

from deploy.plan_sections import Objectives
from eval.paired import is_accuracy, score_estimate
from eval.samples import Sample
from eval.schema import NoSignal
from eval.task_score import TaskScore

# What a variant that passes must keep of what the baseline knows more than guessing does (the
# preserved effect of trials: FDA, Non-Inferiority Clinical Trials, 2016, margin M2).
KEPT_SHARE = 0.5
# A byte has as many values: the worst that a model of texts may be without knowing any.
_BYTE_NATS = math.log(256)


def guessing(samples: Sequence[Sample]) -> float:
    """The share that guessing answers right (0 to 1); 0 where nothing can be guessed.

    Of choices the larger of two: one of them at random (the mean of 1 / choices), or always the
    same answer, where the tasks' choices are the same words (yes and no, A to D).
    """
    if not all(sample.choices for sample in samples):
        return 0.0
    random = math.fsum(1 / (sample.choices or 1) for sample in samples) / len(samples)
    most = Counter(sample.target for sample in samples).most_common(1)[0][1]
    return max(random, most / len(samples))


def ignorance(samples: Sequence[Sample], vocabulary: float | None) -> float:
    """Nats per token of a model that knows nothing: all tokens, or all bytes, equally likely."""
    tokens = sum(sample.tokens or 0 for sample in samples)
    by_bytes = _BYTE_NATS * sum(sample.bytes or 0 for sample in samples) / tokens
    return min(by_bytes, math.log(vocabulary)) if vocabulary else by_bytes


def no_signal(
    samples: Sequence[Sample],
    score: TaskScore,
    margin: float,
    confidence: float,
    *,
    anytime: bool = False,
) -> NoSignal | None:
    """Why the baseline's answers to a task prove nothing; None where they do.

    Answers that are right or wrong: the exact binomial test of the number right against guessing
    (where chances differ by item, the binomial with their mean bounds the tail: Hoeffding, Annals
    of Mathematical Statistics 27, 1956). Log-likelihoods: the interval of the mean against a model
    that knows nothing. Also none where half of what there is above guessing is within the margin: a
    variant could lose most of it and pass, as two models that are both mostly wrong agree.

    ``anytime``: it is looked at while the answers come. The score is then the lowest that its
    anytime interval leaves: of many looks one is lucky.
    """
    found = score_estimate(samples, confidence, anytime=anytime)
    if not is_accuracy(samples):
        chance = ignorance(samples, score.details.get("vocabulary"))
        unproven = found.value >= chance or (found.high is not None and found.high >= chance)
        worst = found.high if anytime and found.high is not None else found.value
        kind = "at_chance" if unproven else _within(chance - worst, margin)
        return _because(kind, chance, found.value)
    chance = guessing(samples)
    if found.value >= 1:
        return _because("at_ceiling", chance, found.value)
    if found.value <= 0:
        return _because("at_zero", chance, found.value)
    if anytime:
        surely = chance if found.low is None else found.low
        kind = "at_chance" if surely <= chance else _within(surely - chance, margin)
        return _because(kind, chance, found.value)
    p_value = None
    if all(sample.correct is not None for sample in samples):
        right = sum(bool(sample.correct) for sample in samples)
        test = stats.binomtest(right, len(samples), chance, alternative="greater")
        p_value = float(test.pvalue)
    if found.value <= chance or (p_value is not None and p_value > 1 - confidence):
        return _because("at_chance", chance, found.value, p_value)
    return _because(_within(found.value - chance, margin), chance, found.value, p_value)


def without_signal(
    samples: Mapping[str, Sequence[Sample]],
    scores: Mapping[str, TaskScore],
    objectives: Objectives,
    *,
    anytime: bool = False,
) -> dict[str, NoSignal]:
    """The baseline's tasks that prove nothing."""
    margins = {"accuracy": objectives.accuracy_margin, "nll_per_token": objectives.nll_margin}
    found = {
        task: no_signal(
            samples[task], score, margins[score.metric], objectives.confidence, anytime=anytime
        )
        for task, score in scores.items()
        if samples.get(task)
    }
    return {task: why for task, why in found.items() if why is not None}


def _within(room: float, margin: float) -> str | None:
    return "within_margin" if KEPT_SHARE * room <= margin else None


def _because(
    kind: str | None, chance: float, baseline: float, p_value: float | None = None
) -> NoSignal | None:
    if kind is None:
        return None
    return NoSignal.model_validate(
        {"kind": kind, "chance": chance, "baseline": baseline, "p_value": p_value}
    )
