"""Write a GGUF file by hand, after ggml/docs/gguf.md."""

import struct
from collections.abc import Mapping
from pathlib import Path

from quantize.formats.gguf_types import BLOCK_TYPES

_ALIGNMENT = 32


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def write_gguf(
    path: Path,
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    *,
    kind: str = "model",
    end_token: int | None = None,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Tensors of zeros: each value is (type name, shape with the outermost dimension first).

    ``sizes`` are metadata that are counts.
    """
    numbers = {block.name: (number, block) for number, block in BLOCK_TYPES.items()}
    metadata = _text("general.architecture") + struct.pack("<I", 8) + _text("llama")
    metadata += _text("tokenizer.chat_template") + struct.pack("<I", 8) + _text("{{ x }}")
    metadata += _text("general.type") + struct.pack("<I", 8) + _text(kind)
    metadata += _text("tokens") + struct.pack("<IIQ", 9, 8, 2) + _text("a") + _text("é")
    keys = 4
    if end_token is not None:
        metadata += _text("tokenizer.ggml.eos_token_id") + struct.pack("<II", 4, end_token)
        keys += 1
    for name, size in (sizes or {}).items():
        metadata += _text(name) + struct.pack("<II", 4, size)
        keys += 1
    entries, data = b"", b""
    for name, (type_name, shape) in tensors.items():
        number, block = numbers[type_name]
        entries += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        entries += struct.pack("<IQ", number, len(data))
        elements = 1
        for size in shape:
            elements *= size
        data += bytes(elements // block.values * block.size_bytes)
        data += bytes(-len(data) % _ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), keys) + metadata + entries
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + data)
