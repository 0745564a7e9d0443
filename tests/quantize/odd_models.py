"""Folders as people have them: each a tiny model with one thing about it that some tool trips over.

A kind is a function that alters a sound folder, and what is right to come of it.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from tests.quantize.tiny_model import (
    CHAT_TEMPLATE,
    Family,
    bfloat16_bits,
    make_byte_level_tokenizer,
    make_tiny_model,
    read_tensors,
    rewrite_weights,
    write_safetensors,
)

MERGED, INDEX = "model.safetensors", "model.safetensors.index.json"
Alter = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A kind of folder: how it is made, and the words it is refused with (empty: it is taken).

    ``tool`` says that GGUF and GPTQ are made of it as well, for what is odd reaches them;
    ``no_gguf`` and ``no_gptq`` are the words with which these alone are refused.
    """

    alter: Alter = lambda _: None
    refused: str = ""
    note: str = ""
    tool: bool = False
    no_gguf: str = ""
    no_gptq: str = ""
    family: Family = "llama"
    sizes: Mapping[str, int] | None = None


def make_odd_model(kind: str, folder: Path) -> Path:
    """Write the folder of a kind; returns it."""
    odd = ODD_MODELS[kind]
    make_tiny_model(folder, layers=1, family=odd.family, **(odd.sizes or {}))  # type: ignore[arg-type]
    odd.alter(folder)
    return folder


def config(**changes: Any) -> Alter:
    """Change ``config.json``; a key that gets ``...`` is removed."""
    return lambda model: _change(model / "config.json", changes)


def generation(**content: Any) -> Alter:
    """Write ``generation_config.json``."""
    return lambda model: _change(model / "generation_config.json", content)


def tokenizer(**changes: Any) -> Alter:
    """Change ``tokenizer_config.json``; a key that gets ``...`` is removed."""
    return lambda model: _change(model / "tokenizer_config.json", changes)


def both(*steps: Alter) -> Alter:
    """One change after the other."""

    def alter(model: Path) -> None:
        for step in steps:
            step(model)

    return alter


def _change(path: Path, changes: Mapping[str, Any]) -> None:
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    content.update(changes)
    kept = {key: value for key, value in content.items() if value is not ...}
    path.write_text(json.dumps(kept, indent=1))


def _values(*shape: int, seed: int = 5) -> tuple[str, np.ndarray]:
    values = np.random.default_rng(seed).normal(0, 0.05, shape).astype("<f4")
    return "BF16", bfloat16_bits(values)


def add(name: str, *shape: int) -> Alter:
    """Add a tensor of small random values."""
    return lambda model: rewrite_weights(model, lambda held: held | {name: _values(*shape)})


def without(name: str) -> Alter:
    """Remove a tensor."""
    return lambda model: rewrite_weights(
        model, lambda held: {key: value for key, value in held.items() if key != name}
    )


def stored_as(kind: str) -> Alter:
    """Store the weights as F32 or F16."""

    def widen(held: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
        single = (held[1].astype("<u4") << 16).view("<f4")
        return kind, single.astype("<f2") if kind == "F16" else single

    return lambda model: rewrite_weights(
        model, lambda held: {name: widen(each) for name, each in held.items()}
    )


def in_parts(model: Path) -> None:
    """Write the weights again in two files with an index, beside the one."""
    held = read_tensors(model / MERGED)
    names, where = list(held), {}
    for number in (0, 1):
        file = f"model-{number + 1:05d}-of-00002.safetensors"
        write_safetensors(model / file, {name: held[name] for name in names[number::2]})
        where.update(dict.fromkeys(names[number::2], file))
    (model / INDEX).write_text(json.dumps({"weight_map": where}))


def remove(*names: str) -> Alter:
    """Delete files by name or pattern."""

    def alter(model: Path) -> None:
        for name in names:
            for path in model.glob(name):
                path.unlink()

    return alter


def other_weights(model: Path) -> None:
    """Put another model's weights into the one file."""
    rewrite_weights(
        model, lambda held: {name: _values(*each[1].shape) for name, each in held.items()}
    )


def strays(model: Path) -> None:
    """Lay beside the model what is not of it."""
    write_safetensors(model / "adapter_model.safetensors", {"lora_A": _values(8, 8)})
    write_safetensors(model / "consolidated.safetensors", {"tok_embeddings": _values(8, 8)})
    shutil.copy(model / MERGED, model / "model-old.safetensors")
    (model / "original").mkdir()


def as_snapshot(model: Path) -> None:
    """Move the files away and leave links, as the hub's cache does."""
    blobs = model.with_name(f"{model.name}-blobs")
    blobs.mkdir()
    for path in list(model.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(Path("..") / blobs.name / path.name)


def dangling(name: str) -> Alter:
    """Make a file a link to nowhere."""

    def alter(model: Path) -> None:
        (model / name).unlink(missing_ok=True)
        (model / name).symlink_to("../gone")

    return alter


def fast_tokenizer(model: Path) -> None:
    """Write tokenizer.json beside tokenizer.model, as most repositories have both."""
    AutoTokenizer.from_pretrained(model).backend_tokenizer.save(str(model / "tokenizer.json"))


_QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
_MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
_ATTENTION = "model.layers.0.self_attn."
_QKV_BIASES = both(
    add(f"{_ATTENTION}q_proj.bias", 256),
    add(f"{_ATTENTION}k_proj.bias", 128),
    add(f"{_ATTENTION}v_proj.bias", 128),
)
_MLP_BIASES = both(
    add("model.layers.0.mlp.gate_proj.bias", 512),
    add("model.layers.0.mlp.up_proj.bias", 512),
    add("model.layers.0.mlp.down_proj.bias", 256),
)
_ROPE = {"rope_type": "default", "rope_theta": 500000.0}

ODD_MODELS: Mapping[str, Odd] = {
    "sound": Odd(tool=True),
    "tied": Odd(alter=both(config(tie_word_embeddings=True), without("lm_head.weight")), tool=True),
    "tied, another head": Odd(
        alter=config(tie_word_embeddings=True), refused=r"lm_head\.weight differs from model\.embed"
    ),
    "no head": Odd(alter=without("lm_head.weight"), refused=r"lm_head\.weight is missing"),
    "biases of Qwen2, and a tokenizer that its class reads otherwise": Odd(
        alter=both(fast_tokenizer, config(**_QWEN2), _QKV_BIASES),
        note="by rules of its own",
        no_gguf="transformers reads text for Qwen2ForCausalLM byte by byte",
    ),
    "biases, declared": Odd(alter=both(config(mlp_bias=True), _MLP_BIASES), tool=True),
    "biases, not declared": Odd(alter=_QKV_BIASES, refused=r"q_proj\.bias.*has no such tensor"),
    "biases, declared but absent": Odd(
        alter=config(attention_bias=True), refused=r"q_proj\.bias is missing"
    ),
    "biases that Mistral has not": Odd(
        alter=both(config(**_MISTRAL, attention_bias=True), _QKV_BIASES),
        refused=r"MistralForCausalLM has no such tensor",
    ),
    "a value head": Odd(alter=add("v_head.weight", 1, 256), refused=r"v_head\.weight.*remove it"),
    "norms of queries and keys": Odd(family="qwen3"),
    "norms of queries and keys, no space before a text": Odd(
        alter=tokenizer(add_prefix_space=False), family="qwen3", no_gguf="puts no space before a"
    ),
    "experts": Odd(family="mixtral"),
    "experts, one block dense": Odd(
        alter=both(
            config(mlp_only_layers=[0]),
            lambda model: rewrite_weights(model, _dense),
        ),
        family="qwen3-moe",
        no_gguf=r"block 0 of this Qwen3-MoE has no experts",
        no_gptq=r"block 0 of this Qwen3-MoE has no experts",
    ),
    "in parts": Odd(alter=both(in_parts, remove(MERGED)), tool=True),
    "in parts and whole": Odd(alter=in_parts, note="not the model's, not read: model-00001-of"),
    "in parts and another": Odd(alter=both(in_parts, other_weights), refused="holds two models"),
    "index of parts that are gone": Odd(
        alter=both(in_parts, remove("model-0*")), refused=r"index\.json is stale"
    ),
    "a part is missing": Odd(
        alter=both(in_parts, remove(MERGED, "model-00002*")), refused=r"has no model-00002-of-00002"
    ),
    "parts without an index": Odd(
        alter=both(in_parts, remove(MERGED, INDEX)), refused=r"parts of a model but no"
    ),
    "strays beside it": Odd(alter=strays, note="adapter_model.safetensors, consolid"),
    "links into a cache": Odd(alter=as_snapshot),
    "weights that link nowhere": Odd(alter=dangling(MERGED), refused="is a link to nowhere"),
    "a tokenizer that links nowhere": Odd(
        alter=dangling("special_tokens_map.json"), refused="special_tokens_map.json is a link to n"
    ),
    "single precision": Odd(alter=both(stored_as("F32"), config(torch_dtype="float32")), tool=True),
    "half precision": Odd(alter=both(stored_as("F16"), config(torch_dtype="float16"))),
    "no dtype": Odd(alter=config(torch_dtype=...)),
    "no architectures": Odd(alter=config(architectures=...), note="by its model_type"),
    "quantization is null": Odd(alter=config(quantization_config=None)),
    "quantized already": Odd(
        alter=config(quantization_config={"quant_method": "awq"}), refused="quantized already"
    ),
    "another activation": Odd(alter=config(hidden_act="gelu"), refused=r"hidden_act is 'gelu'"),
    "rope as transformers 5 has it": Odd(
        alter=config(rope_theta=..., rope_parameters=_ROPE), tool=True
    ),
    "rope scaled": Odd(alter=config(rope_scaling={"type": "linear", "factor": 2.0})),
    "a sliding window": Odd(alter=config(**_MISTRAL, sliding_window=64)),
    "rows of 384 and 544": Odd(
        sizes={"hidden_size": 384, "intermediate_size": 544},
        no_gptq="rows of 544 values; the recipe needs a multiple of 64",
        tool=True,
    ),
    "rows of 344": Odd(
        sizes={"intermediate_size": 344},
        no_gguf="rows of 344 values; the recipe needs a multiple of 32",
        no_gptq="rows of 344 values",
    ),
    "rows of the vocabulary to spare": Odd(
        alter=both(
            config(vocab_size=576),
            lambda model: rewrite_weights(model, _longer),
        ),
        tool=True,
    ),
    "a pre-tokenizer of its own": Odd(
        alter=make_byte_level_tokenizer, no_gguf="does not know this tokenizer's pre-tokenizer"
    ),
    "a vocabulary too short": Odd(
        alter=lambda model: make_byte_level_tokenizer(model, 600), refused="token ids up to"
    ),
    "tokenizer.json of SentencePiece's kind, alone": Odd(
        alter=both(fast_tokenizer, remove("tokenizer.model")),
        no_gguf="put the model's tokenizer.model beside it",
    ),
    "no tokenizer": Odd(alter=remove("tokenizer.model"), refused="has no tokenizer"),
    "no tokenizer settings": Odd(
        alter=both(fast_tokenizer, remove("tokenizer_config.json")), tool=True
    ),
    "no beginning named": Odd(alter=tokenizer(bos_token=None)),
    "two ends": Odd(alter=generation(eos_token_id=[2, 6])),
    "an end out of range": Odd(alter=config(eos_token_id=[2, 9999]), note="9999 lies beyond"),
    "settings nobody can save": Odd(
        alter=generation(do_sample=False, temperature=0.9), note="wishes temperature 0.9", tool=True
    ),
    "no template": Odd(alter=tokenizer(chat_template=...)),
    "a broken template": Odd(
        alter=tokenizer(chat_template="{% for m in messages %}"), note="cannot be used", tool=True
    ),
    "a template of one turn": Odd(
        alter=tokenizer(
            chat_template="{% if messages[1:] %}{{ raise_exception('one') }}{% endif %}"
            + CHAT_TEMPLATE
        ),
        tool=True,
    ),
    "templates by name": Odd(
        alter=tokenizer(chat_template=[{"name": "rag", "template": CHAT_TEMPLATE}]),
        note="no default chat template",
        tool=True,
    ),
}


def _dense(held: dict[str, tuple[str, np.ndarray]]) -> dict[str, tuple[str, np.ndarray]]:
    """A block without experts."""
    kept = {name: each for name, each in held.items() if ".mlp." not in name}
    module = "model.layers.0.mlp."
    kept |= {f"{module}{name}_proj.weight": _values(512, 256) for name in ("gate", "up")}
    return kept | {f"{module}down_proj.weight": _values(256, 512)}


def _longer(held: dict[str, tuple[str, np.ndarray]]) -> dict[str, tuple[str, np.ndarray]]:
    """Tables with 64 rows more."""
    tables = ("model.embed_tokens.weight", "lm_head.weight")
    more = _values(64, 256)[1]
    return held | {name: ("BF16", np.concatenate([held[name][1], more])) for name in tables}
