"""Whether a variant answers as its weights do: its answers held against transformers. Pure.

16-bit weights are held against transformers on the source, quantized ones against their own decoded
values, which in turn must be the source's weights. Measured (RESULTS.md, "Agreement"): engines are
off by at most two fifths of the limits below. Other weights, another head, biases and a window that
is not kept move a token by 1.4 to 1.9 nats on average: 3 to 11 times the limits, for a model of the
bundled one's noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quantize.agreement.agreement_file import AgreementFile
from quantize.agreement.probe import Probe, ProbedArtifact, Scores
from services.engine.difference import describe
from services.engine.scored_sequence import Limits, ScoredSequence

# An engine that computes in 16 bits; one that rounds inputs to 8; one whose plan has it round keys
# and values, or the weights of an engine it compiles, to as few as 4.
PLAIN = Limits(mean=6, token=40)
ROUNDED = Limits(mean=16, token=120, moved=2.5)
BY_OPTION = Limits(mean=40, token=300, moved=2.5)
# Below, another order of sums shows more than rounding.
LEAST_NOISE = 0.005
SOURCE, DECODED, INPUTS_KEPT = (
    "transformers on the source",
    "its decoded weights",
    "its decoded weights with inputs left as they are",
)


class Agreement(BaseModel):
    """A variant's agreement with ``against``, over ``tokens`` scored tokens.

    ``mean_nats`` and ``worst_nats`` are of the tokens' absolute differences, ``limit_nats`` is what
    the mean may be. ``reasons`` say why it differs, or why it is not held against anything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["agrees", "differs", "not held"]
    against: str = ""
    tokens: int = 0
    mean_nats: float | None = None
    worst_nats: float | None = None
    limit_nats: float | None = None
    reasons: tuple[str, ...] = ()


def not_held(reason: str) -> Agreement:
    """The agreement of a variant that cannot be held against anything."""
    return Agreement(state="not held", reasons=(reason,))


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a variant said: ``scores`` by sequence (all ids but the first), as it was asked.

    ``faults`` are what else it does otherwise, in words (``probe_questions.py``).
    """

    scores: Mapping[str, Sequence[float]]
    faults: Sequence[str] = field(default_factory=tuple)


def judge(file: AgreementFile, answers: Answers, limits: Limits) -> Agreement:
    """Hold answers against the file.

    What could not be decoded is held against nothing; what it does otherwise in asking counts.
    """
    if file.artifact is not None and file.artifact.is_unknown:
        return _not_decoded(file.artifact, answers)
    noise = noise_of(file.source)
    against, sequences = _nearest(file, answers, noise, limits)
    reasons = list(answers.faults)
    if file.artifact is not None and (other := other_weights(file.artifact)):
        reasons.insert(0, other)
    if difference := describe(sequences, file.probe, against):
        reasons.insert(0, difference)
    if not sequences:
        if not reasons:
            return not_held("it scores no prompts")
        return Agreement(state="differs", reasons=tuple(reasons))
    differences = [each for sequence in sequences for each in sequence.differences]
    spread = [each for sequence in sequences for each in sequence.spread]
    return Agreement(
        state="differs" if reasons else "agrees",
        against=against,
        tokens=len(differences),
        mean_nats=fmean(differences),
        worst_nats=max(differences),
        limit_nats=limits.mean * noise * fmean(spread),
        reasons=tuple(reasons),
    )


def _not_decoded(artifact: ProbedArtifact, answers: Answers) -> Agreement:
    if answers.faults:
        return Agreement(state="differs", reasons=tuple(answers.faults))
    return not_held(
        f"its own weights cannot be decoded here ({artifact.fault}); it is proven by its hashes, "
        "its stored tensors and the weights that the engine holds alone"
    )


def noise_of(scores: Scores) -> float:
    """What bfloat16 differs by from float32 over the whole probe, per unit of spread."""
    off = sum((each.bf16_nats or 0) * len(each.spread) for each in scores.values())
    spread = sum(sum(each.spread) for each in scores.values())
    return max(LEAST_NOISE, off / spread) if spread else LEAST_NOISE


def other_weights(artifact: ProbedArtifact) -> str | None:
    """Why an artifact's weights are not the source's; None where they are."""
    if artifact.fault is not None:
        return f"its weights are not those of the model's architecture: {artifact.fault}"
    farthest = artifact.farthest
    if farthest is None or farthest.residual <= farthest.limit:
        return None
    return (
        f"its weights are not the source's: of {farthest.name}, {farthest.residual:.0%} are "
        f"something else, where this format's rounding explains {farthest.limit:.0%}: the tool "
        "read another weight file of the model's folder; leave one set of weights there, delete "
        "the artifact and run `make quantize`"
    )


def _nearest(
    file: AgreementFile, answers: Answers, noise: float, limits: Limits
) -> tuple[str, list[ScoredSequence]]:
    """The sequences beside that of the possible computations which is nearest."""
    alternatives: dict[str, Scores] = {SOURCE: file.source}
    if file.artifact is not None:
        alternatives = {DECODED: file.artifact.scores}
        if file.artifact.inputs_kept is not None:
            alternatives[INPUTS_KEPT] = file.artifact.inputs_kept
    moved = _moved(file.artifact)
    beside = {
        name: _beside(file.probe, answers.scores, scores, moved, noise, limits)
        for name, scores in alternatives.items()
    }
    return min(beside.items(), key=lambda item: sum(sum(s.differences) for s in item[1]))


def _moved(artifact: ProbedArtifact | None) -> dict[str, list[float]]:
    """By how much rounding the inputs moves each token (nats), by sequence, where it is known."""
    if artifact is None or artifact.inputs_kept is None:
        return {}
    return {
        name: [abs(a - b) for a, b in zip(kept.logprobs, rounded.logprobs, strict=True)]
        for name, kept in artifact.inputs_kept.items()
        if (rounded := artifact.scores.get(name)) is not None
    }


def _beside(
    probe: Probe,
    heard: Mapping[str, Sequence[float]],
    scores: Scores,
    moved: Mapping[str, Sequence[float]],
    noise: float,
    limits: Limits,
) -> list[ScoredSequence]:
    """What was heard beside what is expected; a shorter context heard less of a sequence."""
    found = []
    for sequence in probe.sequences:
        said = heard.get(sequence.name, ())
        expected = scores.get(sequence.name)
        if said and expected is not None:
            count = len(said)
            found.append(
                ScoredSequence(
                    name=sequence.name,
                    ids=sequence.ids[: count + 1],
                    heard=said,
                    expected=expected.logprobs[:count],
                    spread=expected.spread[:count],
                    noise=noise,
                    limits=limits,
                    moved=moved.get(sequence.name, ())[:count],
                )
            )
    return found
