"""The key-value cache of llama.cpp: its types, its size, and how many sequences a budget holds."""

import ctypes
from typing import Any

import llama_cpp

from services.server.backend import BackendError

# By llama.cpp's names: type, bytes of one value (blocks of 32 with a 16-bit scale). With f32
# log-probabilities of 32-bit weights equal a float32 reference within 1e-5 nats whatever else is
# in the batch; f16 halves the cache and moves them by about 1e-3, which is a tenth of what the
# rounding of a quantized model's inputs moves them by.
_TYPES = {
    "f16": (llama_cpp.GGML_TYPE_F16, 2.0),
    "f32": (llama_cpp.GGML_TYPE_F32, 4.0),
    "q8_0": (llama_cpp.GGML_TYPE_Q8_0, 34 / 32),
    "q4_0": (llama_cpp.GGML_TYPE_Q4_0, 18 / 32),
}
_QUANTIZED = frozenset({"q8_0", "q4_0"})
# Flash attention reads no cell that is masked: with f16 a decode of 16 sequences of 100 tokens of a
# 23 M model takes 4.4 ms instead of 6.9, at 400 tokens 9.0 instead of 11.4, and a prompt of 400
# tokens 97 ms instead of 138. It rounds keys and values of f32 to f16, against that type's purpose.
_FLASH_ATTENTION = {
    "f16": llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "f32": llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    "q8_0": llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "q4_0": llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
}
_BLOCK = 32
# llama.cpp rounds a sequence's cells up to this many (llama-context.cpp).
_CELLS_STEP = 256


def check_cache_type(name: str) -> None:
    """Refuse an unknown type before anything is loaded.

    Raises:
        ValueError: there is no such type.
    """
    if name not in _TYPES:
        raise ValueError(f"KV-cache dtype: {name!r} is unknown (valid: {', '.join(_TYPES)})")


def set_cache_type(parameters: Any, name: str) -> None:
    """Set keys and values of a context to one type, and the attention that suits it."""
    parameters.type_k = parameters.type_v = _TYPES[name][0]
    parameters.flash_attn_type = _FLASH_ATTENTION[name]


def head_size(model: Any) -> int:
    """Values of one key or value vector."""
    arch = metadata(model, "general.architecture")
    declared = metadata(model, f"{arch}.attention.key_length")
    if declared:
        return int(declared)
    return int(llama_cpp.llama_model_n_embd(model) // llama_cpp.llama_model_n_head(model))


def sequence_bytes(model: Any, context_length: int, name: str) -> int:
    """Bytes of one sequence's cache: 2 (keys, values) x layers x KV heads x head size x cells.

    Raises:
        BackendError: the type's blocks do not divide a head.
    """
    if name in _QUANTIZED and head_size(model) % _BLOCK:
        raise BackendError(
            f"a {name} key-value cache needs heads of a multiple of {_BLOCK} values; this model's "
            f"have {head_size(model)}"
        )
    cells = -(-context_length // _CELLS_STEP) * _CELLS_STEP
    values = 2 * llama_cpp.llama_model_n_layer(model) * llama_cpp.llama_model_n_head_kv(model)
    return int(values * head_size(model) * cells * _TYPES[name][1])


def sequences_within(
    model: Any, context_length: int, max_sequences: int, name: str, budget_gib: float | None
) -> int:
    """How many sequences the budget holds at once, ``max_sequences`` at most; the rest wait.

    Raises:
        BackendError: it does not hold one.
    """
    each = sequence_bytes(model, context_length, name)
    if budget_gib is None:
        return max_sequences
    fitting = int(budget_gib * (1 << 30)) // each
    if fitting < 1:
        raise BackendError(
            f"a key-value cache of {budget_gib:g} GiB (serving.kv_cache_gib) holds no sequence of "
            f"{context_length} tokens: one takes {each / (1 << 30):.2f} GiB; raise it, or lower "
            "serving.context_length"
        )
    return min(max_sequences, fitting)


def metadata(model: Any, key: str) -> str:
    """A value of the file's metadata as text; empty where there is none."""
    text = ctypes.create_string_buffer(256)
    found = llama_cpp.llama_model_meta_val_str(model, key.encode(), text, len(text))
    return text.value.decode() if found >= 0 else ""
