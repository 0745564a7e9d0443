"""Compute a model's importance matrix; in the ``quantize`` environment, with gguf-py on the path.

The file has the layout of llama.cpp's llama-imatrix tool (tools/imatrix/imatrix.cpp).

Only the order of a layer's inputs matters here, and conversion keeps it: the rows of the query and
key projections, which the converter reorders, are outputs.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import torch
from gguf.constants import MODEL_ARCH_NAMES

from quantize.by_llamacpp.in_quantize.input_squares import InputSquares, collect
from quantize.by_llamacpp.llamacpp_jobs import IMATRIX_COLLECT, ImatrixRequest
from quantize.calibration.calibration_set import Calibrated, CalibrationPlan, token_sha256
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve


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


def carry_out(request: ImatrixRequest, tell: Callable[[Progress], None]) -> Calibrated:
    """Write the matrix to the request's ``output``.

    Raises:
        BadRequest: the model or the calibration text is at fault.
    """
    torch.set_num_threads(request.threads)
    try:
        sequences = calibration_tokens(request.model, request.calibration)
        squares = collect(request.model, sequences, tell)
        layers = json.loads((request.model / "config.json").read_text())["num_hidden_layers"]
        write_imatrix(request.output, squares, request.architecture, layers, request.calibration)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return Calibrated(calibration_sha256=token_sha256(sequences))


if __name__ == "__main__":
    serve(IMATRIX_COLLECT, carry_out)
