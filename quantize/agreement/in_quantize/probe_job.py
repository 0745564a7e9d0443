"""Score the probe with transformers: the source as it loads it, and every decoded artifact.

In the ``quantize`` environment, in its own process, on a GPU where its memory suffices. One model
is in memory in float32 at a time, beside the source's weights in 16 bits.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from quantize.agreement.in_quantize.kept_weights import farthest_weight
from quantize.agreement.in_quantize.probe_text import make_probe
from quantize.agreement.probe import (
    PROBE,
    ArtifactToProbe,
    Probed,
    ProbedArtifact,
    ProbeRequest,
    ProbeSequence,
    SequenceScores,
)
from quantize.emulation.in_quantize.emulation import load_any, load_emulated
from quantize.formats.layer_format import INPUT_KINDS
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve

_DIGITS = 5
# What is raised of weights that are not those of an architecture, or of one that is not known.
_UNDECODED = (AttributeError, KeyError, RuntimeError, ValueError)
# Rows of logits that are normalised at once, in float64.
_ROWS = 128


def carry_out(request: ProbeRequest, tell: Callable[[Progress], None]) -> Probed:
    """Make the probe and score it."""
    torch.set_num_threads(request.threads)
    probe = make_probe(request.model, request.text, request.tokens)
    try:
        model = _source_model(request)
    except (*_UNDECODED, OSError) as error:
        if not request.is_published:
            raise
        fault = ProbedArtifact(fault=f"{type(error).__name__}: {error}", is_unknown=True)
        return Probed(
            probe=probe, source={}, artifacts={item.recipe: fault for item in request.artifacts}
        )
    scores = _with_noise(model, probe.sequences)
    weights: dict[str, Tensor] = model.state_dict()
    artifacts: dict[str, ProbedArtifact] = {}
    for item in request.artifacts:
        tell(Progress("scoring", len(artifacts) + 1, len(request.artifacts), item.recipe))
        artifacts[item.recipe] = _score_artifact(item, request, probe.sequences, weights)
    return Probed(probe=probe, source=scores, artifacts=artifacts)


def _source_model(request: ProbeRequest) -> Any:
    """The source in float32: as transformers loads it, a quantized one decoded.

    For a GPU, weights are read straight into that one's memory. Inputs of what is decoded are left
    as they are.
    """
    config = json.loads((request.model / "config.json").read_text())
    if "quantization_config" in config:
        device = request.device
        return load_emulated(request.model, device=device, kept_inputs=INPUT_KINDS).model
    place: dict[str, Any] = {} if request.device == "cpu" else {"device_map": {"": request.device}}
    model: Any = AutoModelForCausalLM.from_pretrained(request.model, dtype=torch.float32, **place)
    return model.eval()


def _with_noise(model: Any, sequences: Sequence[ProbeSequence]) -> dict[str, SequenceScores]:
    """The model's scores and its noise; it is left in bfloat16."""
    exact = score_all(model, sequences)
    model.to(torch.bfloat16)
    found = {}
    for sequence in sequences:
        scores = exact[sequence.name]
        rounded, _ = score(model, sequence.ids)
        off = (rounded - torch.tensor(scores.logprobs, dtype=torch.float64)).abs()
        found[sequence.name] = scores.model_copy(update={"bf16_nats": float(off.mean())})
    return found


def _score_artifact(
    item: ArtifactToProbe,
    request: ProbeRequest,
    sequences: Sequence[ProbeSequence],
    source: Mapping[str, Tensor],
) -> ProbedArtifact:
    try:
        model = load_any(item.artifact, request.model, device=request.device)
    except _UNDECODED as error:
        # The others are scored all the same, and this one is not measured.
        return ProbedArtifact(fault=str(error), is_unknown=request.is_published)
    farthest = farthest_weight(item, model.state_dict(), source)
    scores = score_all(model, sequences)
    del model
    inputs_kept = None
    if item.rounded_inputs:
        bare = load_emulated(
            item.artifact, device=request.device, kept_inputs=item.rounded_inputs
        ).model
        inputs_kept = score_all(bare, sequences)
    return ProbedArtifact(scores=scores, inputs_kept=inputs_kept, farthest=farthest)


def score_all(model: Any, sequences: Sequence[ProbeSequence]) -> dict[str, SequenceScores]:
    """Every sequence's scores by name."""
    found = {}
    for sequence in sequences:
        logprobs, spread = score(model, sequence.ids)
        found[sequence.name] = SequenceScores(logprobs=_told(logprobs), spread=_told(spread))
    return found


def score(model: Any, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Log-probability of every id after the first, and its spread: both ``(ids - 1,)`` float64.

    They are on the CPU, whatever device the model is on.
    """
    given = torch.tensor([list(ids)], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=given, use_cache=False).logits[0, :-1]
    wanted = given[0, 1:]
    parts = [
        _scored(rows, tokens)
        for rows, tokens in zip(logits.split(_ROWS), wanted.split(_ROWS), strict=True)
    ]
    logprobs, spread = (torch.cat(found).cpu() for found in zip(*parts, strict=True))
    return logprobs, spread


def _scored(rows: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    logprobs = torch.log_softmax(rows.double(), dim=-1)
    chosen = logprobs.gather(-1, tokens[:, None])[:, 0]
    p = chosen.exp()
    squares = logprobs.exp().square().sum(-1) - p.square() + (1 - p).square()
    return chosen, squares.clamp(min=0).sqrt()


def _told(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, _DIGITS) for value in values.tolist())


if __name__ == "__main__":
    serve(PROBE, carry_out)
