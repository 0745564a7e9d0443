"""Compute a model's importance matrix; in the ``quantize`` environment, in its own process.

``python -m quantize.by_llamacpp.in_quantize.imatrix_collect REQUEST`` with gguf-py on the path. The
file has the layout of llama.cpp's llama-imatrix tool (tools/imatrix/imatrix.cpp).

Only the order of a layer's inputs matters here, and conversion keeps it: the rows of the query and
key projections, which the converter reorders, are outputs.
"""

import json
import sys
from pathlib import Path

import gguf
import torch
from gguf.constants import MODEL_ARCH_NAMES

from quantize.by_llamacpp.in_quantize.input_squares import InputSquares, collect
from quantize.calibration.calibration_set import CalibrationPlan, plan_from_json, token_sha256
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens


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
    plan = plan_from_json(request["calibration"])
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
