"""Read an importance matrix in llama.cpp's GGUF layout; numpy alone.

Per weight matrix the file holds ``<name>.in_sum2``, the sums of squared inputs (experts, inputs),
and ``<name>.counts``, how many inputs each row sums (tools/imatrix/imatrix.cpp of llama.cpp).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.stored_tensor import StoredTensor, WeightFileError

Importances = Mapping[str, npt.NDArray[np.float32]]

_SUMS, _COUNTS = ".in_sum2", ".counts"


def read_imatrix(path: Path) -> Importances:
    """Mean squares by weight name, each (experts * inputs) in float32.

    An expert that saw no input gets 1 everywhere: no weight matters more than another, which is
    how llama.cpp reads such a file.

    Raises:
        WeightFileError: the file is damaged or no importance matrix.
        OSError: it cannot be read.
    """
    held = read_gguf(path)
    if held.metadata.get("general.type") != "imatrix":
        raise WeightFileError(f"{path} is no importance matrix")
    tensors = {tensor.name: tensor for tensor in held.tensors}
    means = {}
    for name, tensor in tensors.items():
        if not name.endswith(_SUMS):
            continue
        weight = name.removesuffix(_SUMS)
        if weight + _COUNTS not in tensors:
            raise WeightFileError(f"{path} holds no counts for {weight}")
        counts = _values(path, tensors[weight + _COUNTS]).reshape(-1, 1)
        sums = _values(path, tensor).reshape(len(counts), -1)
        seen = counts > 0
        means[weight] = np.where(seen, sums / np.where(seen, counts, 1), 1).astype("<f4").ravel()
    return means


def require_all(importances: Importances, weights: Iterable[StoredTensor], path: Path) -> None:
    """Hold an importance matrix against the weights (rows, inputs) or (experts, rows, inputs).

    llama.cpp quantizes a weight that it finds no entry for as if there were no matrix at all.

    Raises:
        WeightFileError: naming the first weight that has no entry of its size.
    """
    for weight in weights:
        expected = weight.elements // weight.shape[-2]
        found = len(importances.get(weight.name, ()))
        if found != expected:
            raise WeightFileError(
                f"{path} has {found or 'no'} importances for {weight.name}, which has {expected} "
                "inputs; delete it and quantize again"
            )


def _values(path: Path, tensor: StoredTensor) -> npt.NDArray[np.float32]:
    if tensor.kind != "F32":
        raise WeightFileError(f"{path}: {tensor.name} is {tensor.kind}, expected F32")
    return np.fromfile(path, "<f4", count=tensor.elements, offset=tensor.offset)
