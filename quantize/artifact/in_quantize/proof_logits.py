"""What a tool's own model in memory says: logits for a fixed batch, to hold an artifact against.

Decoding the finished artifact must give the same logits; in an environment with torch.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

_SEQUENCES = 4
_TOKENS = 128


def write_proof(path: Path, model: Any, sequences: Sequence[Sequence[int]]) -> None:
    """Write ``ids`` (4, 128) int64 and ``logits`` (4, 128, vocabulary) float32 as safetensors.

    The ids are the beginnings of the first calibration sequences (fewer or shorter where those
    are). A copy of the model computes in float32: its 16-bit weights are exact there, and the
    order of sums no longer hides whether the quantized values are the same.
    """
    length = min(_TOKENS, len(sequences[0]))
    ids = torch.tensor([list(row[:length]) for row in sequences[:_SEQUENCES]])
    single = copy.deepcopy(model).float().eval()
    device = next(single.parameters()).device
    with torch.no_grad():
        logits = single(input_ids=ids.to(device), use_cache=False).logits
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"ids": ids, "logits": logits.float().cpu().contiguous()}, path)
