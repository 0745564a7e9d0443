"""What the scoring process is asked and what it answers; known on both sides of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from quantize.formats.layer_format import InputKind
from quantize.jobs.job_module import JobModule, Progress


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArtifactToScore(_File):
    """An artifact; ``proof`` is what its tool's model in memory said (safetensors), if it did.

    ``kept_inputs`` asks as well for what it gives when inputs are not rounded in those ways.
    """

    recipe: str
    artifact: Path
    proof: Path | None = None
    kept_inputs: tuple[InputKind, ...] = ()


class ScoreRequest(_File):
    """``sequences`` of ``sequence_length`` tokens from the beginning of ``text`` (JSONL)."""

    model: Path
    text: Path
    sequences: int
    sequence_length: int
    artifacts: tuple[ArtifactToScore, ...]
    threads: int


class Distance(_File):
    """How far two models are apart on the same tokens.

    ``mean_nats`` and ``largest_nats`` are of the absolute difference of the tokens'
    log-probabilities; ``logit_rms`` is of the difference of all logits, ``reference_rms`` of the
    logits themselves.
    """

    mean_nats: float
    largest_nats: float
    logit_rms: float
    reference_rms: float


class KeptScored(_File):
    """``Scored``'s values where some inputs are left as they are."""

    logprobs: list[list[float]]
    bf16_rounding: Distance


class Scored(_File):
    """``logprobs`` ``(sequences, tokens - 1)`` of the decoded artifact in float32, in nats.

    ``inputs_kept`` is the same artifact with inputs left as they are, where that was asked for.
    ``to_tool`` is its distance to the tool's own model in memory, ``bf16_rounding`` to itself
    computed in bfloat16: the yardstick. A value next to the border of two codes falls to either
    side by the last bit of what came before, so no two ways of computing agree better than that.
    ``engine_rounding`` of a GGUF is the same for inputs that are rounded to 8 bits, as llama.cpp's
    kernels round them.
    """

    logprobs: list[list[float]]
    inputs_kept: KeptScored | None = None
    to_tool: Distance | None
    bf16_rounding: Distance
    engine_rounding: Distance | None = None


class Scores(_File):
    """``ids`` ``(sequences, tokens)``, and every artifact's scores on them by recipe."""

    ids: list[list[int]]
    scored: dict[str, Scored]


SCORE = JobModule(
    module="quantize.emulation.in_quantize.score_job",
    environment="quantize",
    request=ScoreRequest,
    tells=(Progress,),
    reply=Scores,
)
