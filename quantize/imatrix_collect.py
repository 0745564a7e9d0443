"""Compute a model's importance matrix; in the ``quantize`` environment, in its own process.

``python -m quantize.imatrix_collect REQUEST`` with gguf-py on the path. The importance of a weight
is the mean square of the input it multiplies, over the calibration set: rounding a weight by e
changes the layer's output by e times that input, so the weighted error is the output's error as
far as inputs are uncorrelated. llama.cpp's quantizer minimises it, and its llama-imatrix tool
(tools/imatrix/imatrix.cpp) writes the same sums in the same file format.

Only the order of a layer's inputs matters here, and conversion keeps it: the rows of the query and
key projections, which the converter reorders, are outputs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf.constants import MODEL_ARCH_NAMES
from torch import Tensor, nn

from quantize.calibration import CalibrationPlan, token_sha256
from quantize.calibration_tokens import calibration_tokens
from quantize.streamed_decoder import streamed_decoder

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


def collect(folder: Path, sequences: list[list[int]]) -> InputSquares:
    """Run sequences of token ids (samples, length) through a model; prints batches done."""
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
            print(f"collected {number}/{len(batches)}", flush=True)
    return squares


def write_imatrix(
    path: Path, squares: InputSquares, architecture: str, layers: int, plan: CalibrationPlan
) -> None:
    """Write the sums under their GGUF names, in the layout of llama.cpp's importance matrix.

    Raises:
        ValueError: a layer has no GGUF name, or a sum is not finite.
    """
    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], layers)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [plan.path.name])
    writer.add_uint32("imatrix.chunk_count", plan.samples)
    writer.add_uint32("imatrix.chunk_size", plan.sequence_length)
    for layer, sums in sorted(squares.sums.items()):
        name = names.get_name(f"{layer}.weight", try_suffixes=(".weight",))
        if name is None:
            raise ValueError(f"llama.cpp has no name for {layer} in architecture {architecture}")
        if not sums.isfinite().all():
            raise ValueError(f"the inputs of {layer} are not finite over the calibration set")
        counts = squares.counts[layer]
        if unseen := int((counts == 0).sum()):
            print(f"{layer}: {unseen} of {len(counts)} experts saw no token", file=sys.stderr)
        writer.add_tensor(f"{name}.in_sum2", sums.float().numpy())
        writer.add_tensor(f"{name}.counts", counts[:, None].float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Carry out the request; exits with 2 and one line where the model or text is at fault."""
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["threads"])
    calibration = request["calibration"]
    plan = CalibrationPlan(**{**calibration, "path": Path(calibration["path"])})
    folder = Path(request["model"])
    try:
        sequences = calibration_tokens(folder, plan)
        squares = collect(folder, sequences)
        layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
        output = Path(request["output"])
        write_imatrix(output, squares, request["architecture"], layers, plan)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    outcome = {"calibration_sha256": token_sha256(sequences)}
    Path(request["outcome"]).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
