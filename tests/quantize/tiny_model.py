"""A small random model with a real SentencePiece tokenizer, written with numpy alone.

Tests of the recipes need a source model in a second and without torch. The weights are random,
so its text is noise, but its files have the shape of a real checkpoint.
"""

import json
import random
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sentencepiece
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from quantize.artifact.safetensors_header import read_safetensors

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
Family = Literal["llama", "qwen3", "qwen3-moe", "mixtral"]
EXPERTS = 4
_SYLLABLES = [consonant + vowel for consonant in "bdklmnrst" for vowel in "aeiou"]


def random_sentences(count: int, seed: int = 0) -> list[str]:
    """Sentences of invented words, for tokenizers and calibration."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(600)]
    return [
        " ".join(rng.choices(words, k=rng.randint(8, 20))).capitalize() + f" {rng.randint(0, 999)}."
        for _ in range(count)
    ]


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, np.ndarray]]) -> None:
    """Write a safetensors file; each value is (dtype name of the format, array of its bits)."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, array) in tensors.items():
        end = offset + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(encoded)) + encoded)
        for _, array in tensors.values():
            stream.write(np.ascontiguousarray(array).tobytes())


def read_tensors(path: Path) -> dict[str, tuple[str, np.ndarray]]:
    """The tensors of a safetensors file as ``write_safetensors`` takes them."""
    raw = path.read_bytes()
    tensors = {}
    for tensor in read_safetensors(path):
        bits = np.frombuffer(raw, np.uint8, tensor.size_bytes, tensor.offset)
        width = tensor.size_bytes // tensor.elements
        tensors[tensor.name] = (tensor.kind, bits.view(f"<u{width}").reshape(tensor.shape))
    return tensors


def rewrite_weights(
    model: Path,
    change: Callable[[dict[str, tuple[str, np.ndarray]]], dict[str, tuple[str, np.ndarray]]],
) -> None:
    """Write a model's one file of weights again, changed."""
    path = model / "model.safetensors"
    write_safetensors(path, change(read_tensors(path)))


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values: bfloat16 by truncation, as uint16."""
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2")


def _experts(layer: str, family: Family, inner: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """The router and the experts of one layer, under the names of the family's checkpoints."""
    block = "block_sparse_moe" if family == "mixtral" else "mlp"
    names = ("w1", "w3", "w2") if family == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    shapes: dict[str, tuple[int, ...]] = {f"{layer}{block}.gate.weight": (EXPERTS, hidden)}
    for expert in range(EXPERTS):
        for name, shape in zip(
            names, ((inner, hidden), (inner, hidden), (hidden, inner)), strict=True
        ):
            shapes[f"{layer}{block}.experts.{expert}.{name}.weight"] = shape
    return shapes


def _tensor_shapes(config: Mapping[str, Any], family: Family) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden)
    }
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}."
        shapes |= {
            f"{layer}input_layernorm.weight": (hidden,),
            f"{layer}self_attn.q_proj.weight": (queries, hidden),
            f"{layer}self_attn.k_proj.weight": (keys, hidden),
            f"{layer}self_attn.v_proj.weight": (keys, hidden),
            f"{layer}self_attn.o_proj.weight": (hidden, queries),
            f"{layer}post_attention_layernorm.weight": (hidden,),
        }
        if family in ("qwen3", "qwen3-moe"):
            shapes[f"{layer}self_attn.q_norm.weight"] = (config["head_dim"],)
            shapes[f"{layer}self_attn.k_norm.weight"] = (config["head_dim"],)
        if family in ("mixtral", "qwen3-moe"):
            shapes |= _experts(layer, family, inner, hidden)
        else:
            shapes |= {
                f"{layer}mlp.gate_proj.weight": (inner, hidden),
                f"{layer}mlp.up_proj.weight": (inner, hidden),
                f"{layer}mlp.down_proj.weight": (hidden, inner),
            }
    head = (
        {} if config["tie_word_embeddings"] else {"lm_head.weight": (config["vocab_size"], hidden)}
    )
    return shapes | {"model.norm.weight": (hidden,)} | head


# What a family's configuration has beside the sizes.
_FAMILIES: Mapping[Family, Mapping[str, Any]] = {
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "qwen3": {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "tie_word_embeddings": True,
        "attention_bias": False,
    },
    "qwen3-moe": {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "tie_word_embeddings": False,
        "attention_bias": False,
        "num_experts": EXPERTS,
        "num_experts_per_tok": 2,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    },
    "mixtral": {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "tie_word_embeddings": False,
        "num_local_experts": EXPERTS,
        "num_experts_per_tok": 2,
    },
}


def make_tiny_model(
    folder: Path,
    *,
    hidden_size: int = 256,
    intermediate_size: int = 512,
    layers: int = 2,
    vocab_size: int = 512,
    dtype: str = "BF16",
    seed: int = 0,
    family: Family = "llama",
) -> Path:
    """Write a random model to ``folder``; ``dtype`` is ``BF16`` or ``F32``. Returns the folder.

    ``qwen3`` has the shape of Qwen3-0.6B (tied embeddings, norms of queries and keys), ``mixtral``
    and ``qwen3-moe`` choose two of four experts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _train_tokenizer(folder, vocab_size)
    sizes = {
        "vocab_size": vocab_size,
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden_size // 64,
        "num_key_value_heads": hidden_size // 128,
        "head_dim": 64,
    }
    config: dict[str, Any] = sizes | {
        **_FAMILIES[family],
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": {"BF16": "bfloat16", "F32": "float32"}[dtype],
    }
    if family == "qwen3-moe":
        config["moe_intermediate_size"] = intermediate_size
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in _tensor_shapes(config, family).items():
        values = np.ones(shape) if len(shape) == 1 else rng.normal(0, 0.05, shape)
        single = values.astype("<f4")
        tensors[name] = (dtype, bfloat16_bits(single) if dtype == "BF16" else single)
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def _train_tokenizer(folder: Path, vocab_size: int) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(random_sentences(3000)),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=vocab_size,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    tokenizer = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "legacy": False,
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": 1024,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2))


def make_byte_level_tokenizer(folder: Path, vocab_size: int = 512) -> None:
    """Give a model a byte-level BPE tokenizer of its own, as a fresh fine-tune would have."""
    end = "<|end|>"
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[end],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(random_sentences(300), trainer)
    (folder / "tokenizer.model").unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": end,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
