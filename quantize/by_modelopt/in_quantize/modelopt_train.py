"""Fine-tune a fake-quantized model for a few steps, so that its weights suit their rounding (QAT).

The loss is the divergence from the unquantized model's own predictions (KL, in nats per token): it
asks for no labels and has little noise, so that a hundred steps help. Gradients pass the rounding
straight through. Memory is not bounded by layers here: weights, gradients, two moments and the
unquantized model are all held, 20 bytes per parameter.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch.nn import functional

from quantize.jobs.job_module import Progress
from quantize.reference_model.in_quantize.stream import pack

_ROWS, _LENGTH = 4, 512
_WARMUP_SHARE = 0.1
_REPORT_EVERY = 5


def train(
    student: Any,
    teacher: Any,
    batches: Iterator[torch.Tensor],
    *,
    steps: int,
    rate: float,
    tell: Callable[[Progress], None],
) -> None:
    """Bring the student's predictions near the teacher's; both are in float32 on one device.

    ``batches`` gives (rows, length) int64 token ids, at least ``steps`` of them.
    """
    device = next(student.parameters()).device
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0, betas=(0.9, 0.95))
    student.train()
    for step, batch in zip(range(steps), batches, strict=False):
        ids = batch.to(device)
        with torch.no_grad():
            wanted = functional.log_softmax(teacher(input_ids=ids, use_cache=False).logits, -1)
        found = functional.log_softmax(student(input_ids=ids, use_cache=False).logits, -1)
        loss = functional.kl_div(
            found.flatten(0, 1), wanted.flatten(0, 1), log_target=True, reduction="batchmean"
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.param_groups[0]["lr"] = rate * _rate_factor(step, steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % _REPORT_EVERY == 0 or step == steps - 1:
            tell(Progress("step", step + 1, steps, note=f"{loss.item():.4f} nats"))
    student.eval()


def _rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero (arXiv 1608.03983)."""
    warmup = max(1, round(steps * _WARMUP_SHARE))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def reference_batches(weights: Path, steps: int) -> Iterator[torch.Tensor]:
    """Batches of the reference model's own kind of text, none of which it was trained on."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(weights / "tokenizer.model"))
    for step in range(steps):
        batch = pack(f"fine-tuning {step}", _ROWS, _LENGTH, tokenizer)
        yield torch.from_numpy(batch.astype("int64"))


def calibration_batches(sequences: Sequence[Sequence[int]], steps: int) -> Iterator[torch.Tensor]:
    """Batches of the calibration set, in a new order each time round."""
    ids = torch.tensor(sequences)
    shuffled = torch.Generator().manual_seed(0)
    left: list[int] = []
    for _ in range(steps):
        if len(left) < _ROWS:
            left += torch.randperm(len(ids), generator=shuffled).tolist()
        chosen, left = left[:_ROWS], left[_ROWS:]
        yield ids[chosen]
