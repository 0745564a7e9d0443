"""A random-weight Llama as a GGUF file, and the same model in plain NumPy as the oracle.

The GGUF container (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) is written by hand,
so that the tests need neither torch nor a download. Every tensor is F32: the file and the oracle
hold exactly the same weights.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

GGUF_ALIGNMENT_BYTES = 32
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
BOS, EOS = 1, 2
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Dimensions of the model; the defaults load in milliseconds."""

    hidden: int = 64
    intermediate: int = 160
    heads: int = 4
    kv_heads: int = 2
    layers: int = 2
    vocab: int = 512
    context: int = 512
    rms_epsilon: float = 1e-5
    rope_base: float = 10000.0

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True)
class TinyLlama:
    """Weights by GGUF tensor name, each ``(rows out, columns in)`` as PyTorch has them."""

    shape: Shape
    weights: dict[str, F32]
    pieces: list[str] = field(default_factory=list)

    def logits(self, ids: Sequence[int]) -> F32:
        """Logits ``(len(ids), vocab)`` of one sequence, position i predicting token i + 1."""
        shape, w = self.shape, self.weights
        x = w["token_embd.weight"][list(ids)]
        for i in range(shape.layers):
            normed = _rms_norm(x, w[f"blk.{i}.attn_norm.weight"], shape.rms_epsilon)
            x = x + self._attention(normed, i)
            normed = _rms_norm(x, w[f"blk.{i}.ffn_norm.weight"], shape.rms_epsilon)
            gate = normed @ w[f"blk.{i}.ffn_gate.weight"].T
            up = normed @ w[f"blk.{i}.ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ w[f"blk.{i}.ffn_down.weight"].T
        x = _rms_norm(x, w["output_norm.weight"], shape.rms_epsilon)
        out: F32 = x @ w["output.weight"].T
        return out

    def logprobs(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Log-probabilities ``(len(ids), vocab)`` in nats."""
        logits = self.logits(ids).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        out: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return out

    def greedy(self, ids: Sequence[int], count: int) -> list[int]:
        """The ``count`` most likely continuation tokens, one at a time."""
        sequence = list(ids)
        for _ in range(count):
            sequence.append(int(self.logits(sequence)[-1].argmax()))
        return sequence[len(ids) :]

    def _attention(self, x: F32, layer: int) -> F32:
        shape, w, count = self.shape, self.weights, len(x)
        query, key, value = (
            (x @ w[f"blk.{layer}.attn_{name}.weight"].T).reshape(count, -1, shape.head_size)
            for name in "qkv"
        )
        query, key = _rope(query, shape.rope_base), _rope(key, shape.rope_base)
        group = shape.heads // shape.kv_heads
        key, value = np.repeat(key, group, axis=1), np.repeat(value, group, axis=1)
        scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(shape.head_size)
        scores = np.where(np.tri(count, dtype=bool), scores, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", scores, value).reshape(count, -1)
        out: F32 = mixed.astype(np.float32) @ w[f"blk.{layer}.attn_output.weight"].T
        return out

    def write_gguf(self, path: Path) -> None:
        """Write the model with its vocabulary and chat template."""
        metadata = _metadata(self.shape, self.pieces)
        header = [struct.pack("<IIQQ", 0x46554747, 3, len(self.weights), len(metadata))]
        header += [_string(key) + value for key, value in metadata.items()]
        offset = 0
        for name, weight in self.weights.items():
            dims = weight.shape[::-1]
            header.append(_string(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims))
            header.append(struct.pack("<IQ", 0, offset))
            offset += _padded(weight.nbytes)
        head = b"".join(header)
        with path.open("wb") as file:
            file.write(head.ljust(_padded(len(head)), b"\0"))
            for weight in self.weights.values():
                file.write(weight.tobytes().ljust(_padded(weight.nbytes), b"\0"))


def make_tiny_llama(shape: Shape | None = None, seed: int = 0) -> TinyLlama:
    """Random weights, scaled so that the next-token distribution is clearly not uniform."""
    shape = shape or Shape()
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> F32:
        values = rng.standard_normal((rows, columns), dtype=np.float32)
        return values * np.float32(scale / np.sqrt(columns))

    hidden, inner = shape.hidden, shape.intermediate
    kv_width = shape.kv_heads * shape.head_size
    embedding = rng.standard_normal((shape.vocab, hidden), dtype=np.float32)
    weights = {"token_embd.weight": embedding}
    for i in range(shape.layers):
        weights |= {
            f"blk.{i}.attn_norm.weight": np.ones(hidden, np.float32),
            f"blk.{i}.attn_q.weight": matrix(hidden, hidden),
            f"blk.{i}.attn_k.weight": matrix(kv_width, hidden),
            f"blk.{i}.attn_v.weight": matrix(kv_width, hidden),
            f"blk.{i}.attn_output.weight": matrix(hidden, hidden),
            f"blk.{i}.ffn_norm.weight": np.ones(hidden, np.float32),
            f"blk.{i}.ffn_gate.weight": matrix(inner, hidden),
            f"blk.{i}.ffn_up.weight": matrix(inner, hidden),
            f"blk.{i}.ffn_down.weight": matrix(hidden, inner),
        }
    weights["output_norm.weight"] = np.ones(hidden, np.float32)
    weights["output.weight"] = matrix(shape.vocab, hidden, scale=2.0)
    return TinyLlama(shape, weights, _pieces(shape.vocab))


def _pieces(count: int) -> list[str]:
    """A SentencePiece-like vocabulary: specials, 256 bytes, letters, then short words."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    letters = [chr(code) for code in range(32, 127) if chr(code) != " "]
    pieces += letters
    lower = [letter for letter in letters if letter.islower()]
    pieces += [f"▁{letter}" for letter in lower]
    pieces += ["th", "he", "the", "▁the", "an", "and", "▁and", "is", "▁is"]
    known = set(pieces)
    words = (a + b + c for a in ("", *lower) for b in lower for c in lower)
    pieces += [word for word in words if word not in known]
    if len(pieces) < count:
        raise ValueError(f"vocab: at most {len(pieces)} pieces can be made, {count} asked")
    return pieces[:count]


def _piece_type(index: int) -> int:
    if index == 0:
        return UNKNOWN
    if index < 3:
        return CONTROL
    return BYTE if index < 259 else NORMAL


def _metadata(shape: Shape, pieces: list[str]) -> dict[str, bytes]:
    u32, f32 = 4, 6
    types = [_piece_type(index) for index in range(len(pieces))]
    return {
        "general.architecture": _typed(8, _string("llama")),
        "general.name": _typed(8, _string("tiny")),
        "llama.context_length": _typed(u32, struct.pack("<I", shape.context)),
        "llama.embedding_length": _typed(u32, struct.pack("<I", shape.hidden)),
        "llama.block_count": _typed(u32, struct.pack("<I", shape.layers)),
        "llama.feed_forward_length": _typed(u32, struct.pack("<I", shape.intermediate)),
        "llama.attention.head_count": _typed(u32, struct.pack("<I", shape.heads)),
        "llama.attention.head_count_kv": _typed(u32, struct.pack("<I", shape.kv_heads)),
        "llama.attention.layer_norm_rms_epsilon": _typed(f32, struct.pack("<f", shape.rms_epsilon)),
        "llama.rope.dimension_count": _typed(u32, struct.pack("<I", shape.head_size)),
        "llama.rope.freq_base": _typed(f32, struct.pack("<f", shape.rope_base)),
        "tokenizer.ggml.model": _typed(8, _string("llama")),
        "tokenizer.ggml.tokens": _array(8, b"".join(map(_string, pieces)), len(pieces)),
        "tokenizer.ggml.scores": _array(
            f32, np.arange(0, -len(pieces), -1).astype("<f4").tobytes(), len(pieces)
        ),
        "tokenizer.ggml.token_type": _array(5, np.array(types, "<i4").tobytes(), len(pieces)),
        "tokenizer.ggml.bos_token_id": _typed(u32, struct.pack("<I", BOS)),
        "tokenizer.ggml.eos_token_id": _typed(u32, struct.pack("<I", EOS)),
        "tokenizer.ggml.unknown_token_id": _typed(u32, struct.pack("<I", 0)),
        "tokenizer.ggml.add_bos_token": _typed(7, b"\x01"),
        "tokenizer.chat_template": _typed(8, _string(CHAT_TEMPLATE)),
    }


def _typed(kind: int, payload: bytes) -> bytes:
    return struct.pack("<I", kind) + payload


def _array(kind: int, payload: bytes, count: int) -> bytes:
    return struct.pack("<IIQ", 9, kind, count) + payload


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // GGUF_ALIGNMENT_BYTES) * GGUF_ALIGNMENT_BYTES


def _rms_norm(x: F32, weight: F32, epsilon: float) -> F32:
    out: F32 = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(epsilon)) * weight
    return out


def _rope(x: F32, base: float) -> F32:
    """Rotary embedding over adjacent pairs: GGUF's order for the llama architecture."""
    count, _, size = x.shape
    angle = np.arange(count)[:, None] * base ** (-np.arange(0, size, 2) / size)[None, :]
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    out = np.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return out
