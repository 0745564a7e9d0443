"""A GGUF file's header as the ``config.json`` that transformers makes of it, as far as sizes go.

Enough to say what the model needs and which recipes can be made of it, without decoding weights.
The keys are those of ``ggml/docs/gguf.md`` and of ``GGUF_CONFIG_MAPPING`` in transformers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from quantize.artifact.gguf_header import GgufFile

# llama.cpp's word for a kind of model, and the class that transformers makes of it.
_ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "llama": "LlamaForCausalLM",
        "mistral": "MistralForCausalLM",
        "qwen2": "Qwen2ForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
        "qwen3moe": "Qwen3MoeForCausalLM",
    }
)
_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "hidden_size": "embedding_length",
        "num_hidden_layers": "block_count",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "head_dim": "attention.key_length",
        "intermediate_size": "feed_forward_length",
        "moe_intermediate_size": "expert_feed_forward_length",
        "max_position_embeddings": "context_length",
        "num_experts": "expert_count",
        "num_experts_per_tok": "expert_used_count",
    }
)
_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"


def config_of(file: GgufFile) -> dict[str, Any]:
    """The configuration by its keys in ``config.json``; what the header does not say is absent.

    Experts of the ``llama`` kind are Mixtral's, of which transformers makes no model.
    """
    kind = str(file.metadata.get("general.architecture", "none named"))
    found = {key: file.metadata.get(f"{kind}.{name}") for key, name in _KEYS.items()}
    shapes = {tensor.name: tensor.shape for tensor in file.tensors}
    architecture = _ARCHITECTURES.get(kind, kind)
    if kind == "llama" and found["num_experts"]:
        architecture = "llama with experts"
    if _EMBEDDING in shapes:
        found["vocab_size"] = shapes[_EMBEDDING][0]
    config = {key: value for key, value in found.items() if value}
    # What transformers sets where the file has experts, and leaves to the class where it has none.
    experts = {"norm_topk_prob": True} if kind == "qwen3moe" else {}
    return {
        "architectures": [architecture],
        "tie_word_embeddings": _HEAD not in shapes,
        **experts,
        **config,
    }
