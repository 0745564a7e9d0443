"""The probe that variants are held against, and what transformers says of it; known on both sides
of the process that scores it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quantize.formats.layer_format import InputKind
from quantize.jobs.job_module import JobModule, Progress


class _Held(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProbeSequence(_Held):
    """Token ids that every variant scores; where ``text`` is given, they are what it reads as."""

    name: str
    ids: tuple[int, ...]
    text: str | None = None


class ChatProbe(_Held):
    """One chat, and the ids that transformers renders it to."""

    messages: tuple[Mapping[str, str], ...]
    ids: tuple[int, ...]


class Probe(_Held):
    """What is asked of a variant.

    ``window`` is the narrowest attention window of the model (None: it has none), ``special`` the
    ids of its special tokens, ``bos`` the one that begins a text; ``end_tokens`` must each end an
    answer. ``no_chat`` says why there is no ``chat``.
    """

    sequences: tuple[ProbeSequence, ...]
    window: int | None
    bos: int | None
    special: tuple[int, ...]
    end_tokens: tuple[int, ...]
    chat: ChatProbe | None
    no_chat: str | None = None


class SequenceScores(_Held):
    """One sequence of ``n`` ids as transformers scores it in float32.

    ``logprobs`` of every id but the first, ``(n - 1,)`` in nats. ``spread`` ``(n - 1,)`` is how
    much of a common error of the logits reaches that log-probability: the root of the squares of
    (1 - p) of the token and of the p of all others (0 where the model is sure, about 1 where the
    token is unlikely). ``bf16_nats`` is how far the same forward pass in bfloat16 is from it, as a
    mean of absolute differences (None where that was not computed).
    """

    logprobs: tuple[float, ...]
    spread: tuple[float, ...]
    bf16_nats: float | None = None


Scores = Mapping[str, SequenceScores]


class ArtifactToProbe(_Held):
    """A quantized artifact. ``rounded_inputs`` are the ways in which its format rounds inputs.

    One that was ``trained`` has weights of its own near the source's.
    """

    recipe: str
    artifact: Path
    bits: int
    trained: bool = False
    rounded_inputs: tuple[InputKind, ...] = ()


ScoringDevice = Literal["cpu", "cuda"]


class ProbeRequest(_Held):
    """Score a probe of ``tokens`` with the source and with every artifact, on a device.

    A source that ``is_published`` quantized is decoded; where it cannot be, there are no scores of
    it, and of the artifacts only the fault.
    """

    model: Path
    text: Path
    tokens: int
    artifacts: tuple[ArtifactToProbe, ...]
    threads: int
    device: ScoringDevice = "cpu"
    is_published: bool = False


class KeptWeight(_Held):
    """One weight of an artifact against the source's: the part of it that is not the source's.

    ``residual`` is the norm of the difference divided by the weight's own, after the scales of
    rows and columns that fit best (smoothing moves them between layers): 0 for the same weight,
    about 1 for one that has nothing to do with it. ``limit`` is what its format explains.
    """

    name: str
    residual: float
    limit: float


class ProbedArtifact(_Held):
    """``scores`` by sequence; ``inputs_kept`` without its format's rounding of inputs.

    ``fault`` says why it cannot be decoded to a model of its architecture; nothing else is there
    then. ``is_unknown`` says that nothing follows from that: the architecture is not known here.
    ``farthest`` is the weight that is least the source's.
    """

    scores: dict[str, SequenceScores] = {}
    inputs_kept: dict[str, SequenceScores] | None = None
    farthest: KeptWeight | None = None
    fault: str | None = None
    is_unknown: bool = False


class Probed(_Held):
    """The probe, what the source says of it, and every artifact by recipe."""

    probe: Probe
    source: dict[str, SequenceScores]
    artifacts: dict[str, ProbedArtifact]


PROBE = JobModule(
    module="quantize.agreement.in_quantize.probe_job",
    environment="quantize",
    request=ProbeRequest,
    tells=(Progress,),
    reply=Probed,
)
