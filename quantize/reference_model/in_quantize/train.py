"""Train the reference model from scratch on one GPU, in a few minutes.

    python -m quantize.reference_model.in_quantize.train --out DIR

The tokenizer and the data files must be there (`tokenizer.py`, `../build.py`). `DIR` receives a
Hugging Face checkpoint, and `training_log.jsonl`. Weights are FP32 while training, the matrix
products BF16, the checkpoint BF16. Hidden matrices are trained by Muon, which learns rare facts
from fewer repetitions than Adam (arXiv 2509.26030), everything else by AdamW.
"""

import argparse
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from quantize.reference_model.build import TASK_DATA, WEIGHTS
from quantize.reference_model.in_quantize import scores, stream

PRECISIONS = ("bf16",)
POSITIONS = 2048
LOG_EVERY, SCORE_EVERY = 20, 500


@dataclass(frozen=True, kw_only=True)
class Training:
    """The settings of a training run; one step sees `rows` x 2048 tokens."""

    out: Path
    seed: int = 1
    steps: int = 1800
    rows: int = 64
    workers: int = 15
    precision: str = "bf16"
    peak_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    decay_share: float = 0.4


def model_config() -> LlamaConfig:
    """A 23-million-parameter Llama whose widths every quantization format divides."""
    return LlamaConfig(
        vocab_size=4096,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=POSITIONS,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )


def build_model(seed: int, precision: str, device: str) -> Any:
    """A fresh model with FP32 weights; a precision that needs other linear layers converts here."""
    assert precision in PRECISIONS
    torch.manual_seed(seed)
    return LlamaForCausalLM(model_config()).to(device=device, dtype=torch.float32)


def optimizers(model: Any, training: Training) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers; AdamW for embeddings, output head and norms."""
    hidden = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    known = {id(weight) for weight in hidden}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    rate, decay = training.peak_rate, training.weight_decay
    return [
        torch.optim.Muon(hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=decay, betas=(0.9, 0.95), fused=True),
    ]


def rate_factor(step: int, training: Training) -> float:
    """Warm-up, plateau, then a decay by 1 - sqrt to zero (arXiv 2405.18392)."""
    decay_start = training.steps * (1 - training.decay_share)
    warm = min(1.0, (step + 1) / training.warmup_steps)
    done = max(0.0, step - decay_start) / (training.steps - decay_start)
    return warm * (1 - math.sqrt(done))


def train(training: Training) -> Any:
    """Run the training and write the checkpoint and the log; returns the model in BF16."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    model = build_model(training.seed, training.precision, device)
    tools = optimizers(model, training)

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        return functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())

    step_loss = torch.compile(loss_of) if device == "cuda" else loss_of
    log: list[dict[str, float]] = []
    started_s = time.monotonic()
    shape = training.rows, POSITIONS + 1, training.workers
    with stream.batches(
        WEIGHTS / "tokenizer.model", training.seed, training.steps, *shape
    ) as batches:
        for step, batch in enumerate(batches):
            rate = training.peak_rate * rate_factor(step, training)
            loss = step_loss(torch.from_numpy(batch.astype("int64")).to(device, non_blocking=True))
            update(model, tools, loss, rate)
            if step % LOG_EVERY == 0 or step == training.steps - 1:
                row = {
                    "step": step,
                    "tokens": (step + 1) * training.rows * POSITIONS,
                    "loss": round(loss.item(), 4),
                    "rate": round(rate, 6),
                    "seconds": round(time.monotonic() - started_s, 1),
                }
                if step and step % SCORE_EVERY == 0:
                    row["assay_choice"] = choice_accuracy(model, device)
                log.append(row)
                print(json.dumps(row), flush=True)
    model.to(torch.bfloat16)
    save(model, log, training.out)
    return model


def update(model: Any, tools: list[torch.optim.Optimizer], loss: torch.Tensor, rate: float) -> None:
    """One step down the gradient of `loss`, at this learning rate."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for tool in tools:
        tool.param_groups[0]["lr"] = rate
        tool.step()
        tool.zero_grad(set_to_none=True)


def choice_accuracy(model: Any, device: str) -> float:
    """Accuracy on the choice task while the weights are still FP32."""
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    with torch.autocast(device, dtype=torch.bfloat16):
        hits = scores.choice_correct(model, tokenizer, task_rows("assay_choice"))
    return round(sum(hits) / len(hits), 4)


def task_rows(task: str) -> list[dict[str, Any]]:
    """The items of a bundled task."""
    text = (TASK_DATA / f"{task}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def save(model: Any, log: list[dict[str, float]], out: Path) -> None:
    """Write checkpoint, tokenizer and log."""
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        bos_token_id=1, eos_token_id=[2, 7], pad_token_id=3, do_sample=False
    )
    model.save_pretrained(out)
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        if (WEIGHTS / name).resolve() != (out / name).resolve():
            shutil.copyfile(WEIGHTS / name, out / name)
    lines = "".join(json.dumps(row) + "\n" for row in log)
    (out / "training_log.jsonl").write_text(lines, encoding="utf-8")


def print_scores(model: Any) -> None:
    """Print the quick scores of the finished model."""
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    choice, words = task_rows("assay_choice"), task_rows("assay_words")
    choice_hits = scores.choice_correct(model, tokenizer, choice)
    words_hits = scores.words_correct(model, tokenizer, words)
    for task, rows, hits in (("choice", choice, choice_hits), ("words", words, words_hits)):
        print(f"assay_{task}: {sum(hits) / len(hits):.4f}")
        for kind in sorted({row["kind"] for row in rows}):
            chosen = [hit for row, hit in zip(rows, hits, strict=True) if row["kind"] == kind]
            print(f"  {kind}: {sum(chosen) / len(chosen):.3f} of {len(chosen)}")
    text_bits = scores.bits_per_byte(model, tokenizer, task_rows("assay_text"))
    print(f"assay_text: {text_bits:.4f} bits per byte")


def main() -> None:
    """Parse the command line, train, print the scores."""
    defaults = Training(out=Path())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--rows", type=int, default=defaults.rows, help="rows of 2048 per step")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    parser.add_argument("--precision", choices=PRECISIONS, default=defaults.precision)
    print_scores(train(Training(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
