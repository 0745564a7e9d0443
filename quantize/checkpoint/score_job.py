"""Log-likelihoods of decoded artifacts on fixed token ids, beside what the tools' own models said.

``python -m quantize.checkpoint.score_job request.json`` in the ``quantize`` environment; the
request and the answer are the JSON of ``ScoreRequest`` and ``Scores``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from quantize.calibration import CalibrationPlan
from quantize.calibration_tokens import calibration_tokens
from quantize.checkpoint.emulation import load_emulated, load_gguf
from quantize.checkpoint.score_files import Distance, Scored, ScoreRequest, Scores
from quantize.weight_measures import GGUF_NAME


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


def _emulated_logits(artifact: Path, config: Path, batches: list[Tensor]) -> list[Tensor]:
    is_gguf = (artifact / GGUF_NAME).is_file()
    model = load_gguf(artifact, config) if is_gguf else load_emulated(artifact).model
    return [logits_of(model, ids) for ids in batches]


def run(request: ScoreRequest) -> Scores:
    """Score every artifact of a request, one model in memory at a time."""
    plan = CalibrationPlan(
        path=request.text, samples=request.sequences, sequence_length=request.sequence_length
    )
    ids = torch.tensor(calibration_tokens(request.model, plan))
    scored: dict[str, Scored] = {}
    for item in request.artifacts:
        proof = load_file(item.proof) if item.proof else None
        batches = [ids] if proof is None else [ids, proof["ids"]]
        found = _emulated_logits(item.artifact, request.model, batches)
        scored[item.recipe] = Scored(
            logprobs=token_scores(found[0], ids).tolist(),
            to_tool=distance(found[1], proof["logits"], proof["ids"]) if proof else None,
        )
        print(f"scored {item.recipe}", file=sys.stderr, flush=True)
    return Scores(ids=ids.tolist(), bf16_rounding=_bf16_rounding(request.model, ids), scored=scored)


def _bf16_rounding(folder: Path, ids: Tensor) -> Distance:
    """The yardstick: the unquantized model computed in bfloat16 against itself in float32."""
    logits = []
    for dtype in (torch.bfloat16, torch.float32):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        logits.append(logits_of(model, ids))
    return distance(logits[0], logits[1], ids)


def main() -> int:
    """Run the command; returns the exit code."""
    request = ScoreRequest.model_validate(json.loads(Path(sys.argv[1]).read_text()))
    torch.set_num_threads(request.threads)
    request.answer.write_text(run(request).model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
