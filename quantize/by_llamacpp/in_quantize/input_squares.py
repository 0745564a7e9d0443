"""Sums of squares of every linear layer's inputs, over token sequences of any length.

The importance of a weight is the mean square of the input it multiplies: rounding a weight by e
changes the layer's output by e times that input, so the weighted error is the output's error as
far as inputs are uncorrelated. llama.cpp's quantizer minimises it, and its llama-imatrix tool
(tools/imatrix/imatrix.cpp) computes the same sums.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from quantize.by_llamacpp.in_quantize.streamed_decoder import streamed_decoder
from quantize.jobs.job_module import Progress

_BATCH_TOKENS = 8192


class InputSquares:
    """Sums of squares of the inputs of every linear layer below some modules.

    ``sums`` is (experts, inputs) in float64 by the layer's name (one row where there are no
    experts), ``counts`` (experts) how many inputs each row sums.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def watch(self, module: nn.Module, prefix: str) -> None:
        """Count from now on what passes through the linear layers and experts of ``module``."""
        for name, part in module.named_modules():
            if isinstance(part, nn.Linear):
                part.register_forward_pre_hook(self._linear_hook(f"{prefix}{name}"))
            elif hasattr(part, "gate_up_proj") and hasattr(part, "down_proj"):
                part.register_forward_pre_hook(self._experts_hook(f"{prefix}{name}"))

    def _linear_hook(self, name: str) -> Any:
        def count(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._add(name, inputs[0].flatten(0, -2), row=0, rows=1)

        return count

    def _experts_hook(self, name: str) -> Any:
        def count(experts: Any, inputs: tuple[Tensor, ...]) -> None:
            hidden, chosen = inputs[0], inputs[1]
            total = experts.gate_up_proj.shape[0]
            for expert in range(total):
                seen = hidden[(chosen == expert).any(dim=-1)]
                gate, up = nn.functional.linear(seen, experts.gate_up_proj[expert]).chunk(2, -1)
                for layer in ("gate_proj", "up_proj"):
                    self._add(f"{name}.{layer}", seen, row=expert, rows=total)
                inner = experts.act_fn(gate) * up
                self._add(f"{name}.down_proj", inner, row=expert, rows=total)

        return count

    def _add(self, name: str, inputs: Tensor, *, row: int, rows: int) -> None:
        """Add inputs (tokens, inputs) to a row of a layer's sums."""
        if name not in self.sums:
            self.sums[name] = torch.zeros(rows, inputs.shape[-1], dtype=torch.float64)
            self.counts[name] = torch.zeros(rows, dtype=torch.int64)
        self.sums[name][row] += inputs.square().sum(dim=0, dtype=torch.float64).cpu()
        self.counts[name][row] += inputs.shape[0]


def collect(
    folder: Path, sequences: list[list[int]], tell: Callable[[Progress], None]
) -> InputSquares:
    """Run sequences of token ids (samples, length) through a model; tells batches done."""
    tell(Progress("importance matrix"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    decoder: Any = streamed_decoder(folder, device)
    squares = InputSquares()
    for index, layer in enumerate(decoder.layers):
        squares.watch(layer, f"model.layers.{index}.")
    ids = torch.tensor(sequences, device=device)
    batches = ids.split(max(1, _BATCH_TOKENS // ids.shape[1]))
    with torch.inference_mode():
        for number, batch in enumerate(batches, start=1):
            decoder(input_ids=batch, use_cache=False)
            tell(Progress("importance matrix", number, len(batches)))
    return squares
