"""Log-likelihoods of decoded artifacts on fixed token ids, beside what the tools' own models said.

In the ``quantize`` environment, in its own process.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from quantize.artifact.gguf_header import GGUF_NAME
from quantize.calibration.calibration_set import CalibrationPlan
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.emulation.in_quantize.emulation import load_any, load_emulated, load_gguf
from quantize.emulation.score_messages import (
    SCORE,
    ArtifactToScore,
    Distance,
    KeptScored,
    Scored,
    ScoreRequest,
    Scores,
)
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve


def token_scores(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of every token after the first, ``(sequences, tokens - 1)`` in nats."""
    logprobs = torch.log_softmax(logits[:, :-1].double(), dim=-1)
    return logprobs.gather(-1, ids[:, 1:, None])[..., 0].float()


def distance(logits: Tensor, reference: Tensor, ids: Tensor) -> Distance:
    """How far two models are apart on the same ids; logits ``(sequences, tokens, vocabulary)``."""
    nats = (token_scores(logits, ids) - token_scores(reference, ids)).abs()
    off = logits.float() - reference.float()
    return Distance(
        mean_nats=float(nats.mean()),
        largest_nats=float(nats.max()),
        logit_rms=float(off.square().mean().sqrt()),
        reference_rms=float(reference.float().square().mean().sqrt()),
    )


def logits_of(model: Any, ids: Tensor) -> Tensor:
    """One forward pass: ``(sequences, tokens)`` ids to logits in float32."""
    with torch.inference_mode():
        logits: Tensor = model(input_ids=ids, use_cache=False).logits.float()
    return logits


def carry_out(request: ScoreRequest, tell: Callable[[Progress], None]) -> Scores:
    """Score every artifact of a request, one model in memory at a time."""
    torch.set_num_threads(request.threads)
    plan = CalibrationPlan(
        path=request.text, samples=request.sequences, sequence_length=request.sequence_length
    )
    ids = torch.tensor(calibration_tokens(request.model, plan))
    scored: dict[str, Scored] = {}
    for item in request.artifacts:
        scored[item.recipe] = _score(item, request.model, ids)
        tell(Progress("scored", len(scored), len(request.artifacts)))
    return Scores(ids=ids.tolist(), scored=scored)


def _score(item: ArtifactToScore, config: Path, ids: Tensor) -> Scored:
    exact = load_any(item.artifact, config, torch.float32)
    logits = logits_of(exact, ids)
    to_tool = None
    if item.proof is not None:
        proof = load_file(item.proof)
        to_tool = distance(logits_of(exact, proof["ids"]), proof["logits"], proof["ids"])
    del exact
    rounded = logits_of(load_any(item.artifact, config, torch.bfloat16), ids)
    return Scored(
        logprobs=token_scores(logits, ids).tolist(),
        inputs_kept=_score_kept(item, ids) if item.kept_inputs else None,
        to_tool=to_tool,
        bf16_rounding=distance(rounded, logits, ids),
        engine_rounding=_engine_rounding(item, config, logits, ids),
    )


def _engine_rounding(
    item: ArtifactToScore, config: Path, logits: Tensor, ids: Tensor
) -> Distance | None:
    if not (item.artifact / GGUF_NAME).is_file():
        return None
    model = load_gguf(item.artifact, config, rounds_inputs=True)
    return distance(logits_of(model, ids), logits, ids)


def _score_kept(item: ArtifactToScore, ids: Tensor) -> KeptScored:
    logits, rounded = (
        logits_of(
            load_emulated(item.artifact, dtype=dtype, kept_inputs=item.kept_inputs).model, ids
        )
        for dtype in (torch.float32, torch.bfloat16)
    )
    return KeptScored(
        logprobs=token_scores(logits, ids).tolist(),
        bf16_rounding=distance(rounded, logits, ids),
    )


if __name__ == "__main__":
    serve(SCORE, carry_out)
