"""The ``bf16`` recipe: the source model's own files, with every weight in bfloat16.

Files are copied, never linked: an artifact must not change when its source does.
"""

import json
import resource
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from quantize.artifact.safetensors_header import INDEX_NAME, read_safetensors, weight_files
from quantize.artifact.stored_tensor import StoredTensor
from quantize.method import Job, Outcome
from quantize.source.reading import TOKENIZER_FILES

_BLOCK_BYTES = 1 << 24


def make(job: Job) -> Outcome:
    """Copy or convert the source model into ``job.output``."""
    source = job.folder
    files = weight_files(source)
    with ThreadPoolExecutor(job.threads) as pool:
        written = pool.map(lambda path: write_as_bf16(path, job.output / path.name), files)
        for number, _ in enumerate(written, start=1):
            job.progress(f"file {number}/{len(files)}")
    if (source / INDEX_NAME).is_file():
        _write_index(source / INDEX_NAME, job.output)
    copy_companions(source, job.output)
    write_config(source, job.output, None)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(calibration_sha256=None, peak_memory_bytes=peak_kib * 1024)


def copy_companions(source: Path, output: Path) -> None:
    """Copy the tokenizer and the generation defaults unchanged: every variant has the same."""
    for name in (*TOKENIZER_FILES, "generation_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, output / name)


def write_config(source: Path, output: Path, quantization: dict[str, Any] | None) -> None:
    """Write the source's ``config.json`` for weights in bfloat16, quantized or not."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    # transformers 4 writes torch_dtype, transformers 5 dtype; keep the source's own word.
    key = "dtype" if "dtype" in config else "torch_dtype"
    config[key] = "bfloat16"
    if quantization is not None:
        config["quantization_config"] = quantization
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_as_bf16(source: Path, target: Path) -> None:
    """Write a safetensors file again with all tensors in BF16 (a plain copy where they are)."""
    tensors = read_safetensors(source)
    if all(tensor.kind == "BF16" for tensor in tensors):
        shutil.copyfile(source, target)
        return
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        start, end = end, end + 2 * tensor.elements
        header[tensor.name] = {
            "dtype": "BF16",
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with source.open("rb") as reader, target.open("wb") as writer:
        writer.write(struct.pack("<Q", len(encoded)) + encoded)
        for tensor in tensors:
            _convert(reader, writer, tensor)


def _convert(reader: BinaryIO, writer: BinaryIO, tensor: StoredTensor) -> None:
    reader.seek(tensor.offset)
    left = tensor.size_bytes
    while left:
        block = reader.read(min(left, _BLOCK_BYTES))
        left -= len(block)
        if tensor.kind == "BF16":
            writer.write(block)
        else:
            values = np.frombuffer(block, "<f4" if tensor.kind == "F32" else "<f2")
            writer.write(round_to_bfloat16(values.astype("<f4")).tobytes())


def round_to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The bits of finite float32 values rounded to bfloat16, ties to even (as torch rounds)."""
    bits = values.view("<u4")
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1)))
    halves: npt.NDArray[np.uint16] = (rounded >> 16).astype("<u2")
    return halves


def _write_index(source: Path, output: Path) -> None:
    index = json.loads(source.read_text())
    sizes = (read_safetensors(path) for path in output.glob("*.safetensors"))
    total = sum(tensor.size_bytes for tensors in sizes for tensor in tensors)
    index["metadata"] = {**index.get("metadata", {}), "total_size": total}
    (output / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n")
