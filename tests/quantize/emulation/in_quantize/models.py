"""Tiny random models of every supported shape, as Hugging Face folders; made without a download."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3MoeConfig,
)

_SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
CONFIGS: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**_SIZES),
    "sliding-mistral": lambda: MistralConfig(**_SIZES, sliding_window=8),
    "tied-qwen3": lambda: Qwen3Config(**_SIZES, head_dim=32, tie_word_embeddings=True),
    "mixtral": lambda: MixtralConfig(**_SIZES, num_local_experts=4, num_experts_per_tok=2),
    "qwen3-moe": lambda: Qwen3MoeConfig(
        **_SIZES, head_dim=16, moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2
    ),
}


def save_model(folder: Path, shape: str) -> PreTrainedModel:
    """Write a random model in bfloat16; returns it as transformers reads it back in float32."""
    torch.manual_seed(0)
    config = CONFIGS[shape]()
    config.architectures = None
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0, 0.08)
        else:
            assert "norm" in name
    model.bfloat16().save_pretrained(folder)
    # Not the same object: the cast above has rounded the rotary frequencies as well.
    read: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return read.eval()
