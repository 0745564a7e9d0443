"""Whether a variant answers as its weights do: its answers held against transformers. Pure.

16-bit weights are held against transformers on the source, quantized ones against their own decoded
values, which in turn must be the source's weights. Where the format rounds inputs, an engine may do
so or leave them: it is held against both, and agrees where all its sequences agree with one. What
rounding inputs moves widens the limits of the first alone, and at 8 bits alone.

Measured (RESULTS.md, "Agreement"): on a CPU engines are off by at most two fifths of the limits. On
a GPU, FP8 was off inputs left alone by 1.2 times what noise allows on a short text, which is 1.28
times what rounding inputs moves there. Other weights, another head, biases and a window that is not
kept move a token of the bundled model by 1.4 to 1.9 nats on average: 3 to 11 times the limits that
follow from its noise, and more than rounding inputs may ever explain (``MOST_BY_INPUTS``).
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

# An engine that computes in 16 bits; one that rounds inputs; one whose plan has it round keys and
# values, or the weights of an engine it compiles, to as few as 4.
PLAIN = Limits(mean=6, token=40)
ROUNDED = Limits(mean=16, token=120)
BY_OPTION = Limits(mean=40, token=300)
# Where the format has inputs rounded to 8 bits; what engines differ by at 4 was not measured.
TIMES_MOVED = 2.5
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
    return Agreement(
        state="differs" if reasons else "agrees",
        against=against,
        tokens=len(differences),
        mean_nats=fmean(differences),
        worst_nats=max(differences),
        limit_nats=sum(each.limit_nats * len(each.spread) for each in sequences) / len(differences),
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
    """The sequences beside the nearest of the possible computations with which all agree.

    Where there is none, beside the nearest of all.
    """
    beside = {
        name: _beside(file.probe, answers.scores, scores, moved, noise, limits)
        for name, scores, moved in _alternatives(file)
    }
    return min(beside.items(), key=lambda item: _distance(item[1]))


def _alternatives(file: AgreementFile) -> list[tuple[str, Scores, Mapping[str, list[float]]]]:
    """What may be computed, in words; its scores; what rounding inputs moves, where it rounds."""
    artifact = file.artifact
    if artifact is None:
        return [(SOURCE, file.source, {})]
    if artifact.inputs_kept is None:
        return [(DECODED, artifact.scores, {})]
    return [
        (DECODED, artifact.scores, _moved(artifact.scores, artifact.inputs_kept)),
        (INPUTS_KEPT, artifact.inputs_kept, {}),
    ]


def _distance(sequences: Sequence[ScoredSequence]) -> tuple[bool, float]:
    """Whether one of them differs, and how far they are off (nats, summed)."""
    differs = not all(sequence.agrees for sequence in sequences)
    return differs, sum(sum(sequence.differences) for sequence in sequences)


def _moved(rounded: Scores, kept: Scores) -> dict[str, list[float]]:
    """By how much rounding the inputs moves each token (nats), by sequence."""
    return {
        name: [abs(a - b) for a, b in zip(kept[name].logprobs, scores.logprobs, strict=True)]
        for name, scores in rounded.items()
        if name in kept
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
