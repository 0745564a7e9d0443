"""The configuration of a source model as every tool is to read it.

Each tool has its own idea of a key that is null, of one that only it obeys, or of which of two
files counts. So what differs in effect is settled here, once; all other keys are left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.source.model_shape import SHAPES
from quantize.source.source_error import SourceModelError, read_json, refuse_dangling

# Whatever a null in these may mean to a tool, it means that there is nothing.
_NULL_IS_NONE = ("quantization_config", "torch_dtype", "dtype", "rope_scaling", "rope_parameters")
# Code of others that this architecture does not need, and notes of where a model came from.
_FOREIGN = ("auto_map", "_name_or_path")
_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}
_ACTIVATIONS = ("silu", "swish")
# What says where a text begins and ends; everything else in generation_config.json is a wish.
_TOKEN_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")
# What generate() of transformers keeps or returns changes no answer.
_NOTES = (
    *("transformers_version", "_from_model_config", "use_cache", "return_dict_in_generate"),
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
)


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A model's configuration, put right.

    ``content`` is ``config.json``, ``sampling`` what ``generation_config.json`` wishes for requests
    that say nothing (no variant obeys it), ``bos`` and ``pad`` token ids, ``ends`` those that end
    an answer; ``notes`` say what was changed.
    """

    content: Mapping[str, Any]
    sampling: Mapping[str, Any]
    bos: int | None
    pad: int | None
    ends: tuple[int, ...]
    notes: tuple[str, ...]


def read_source_config(folder: Path) -> SourceConfig:
    """Read and put right ``config.json`` and ``generation_config.json``.

    Raises:
        SourceModelError: there is none, it is quantized already, or of another architecture.
    """
    config = read_any_config(folder)
    _check_known(config.content)
    return config


def read_any_config(folder: Path) -> SourceConfig:
    """The same of any model: quantized already, of any architecture.

    Raises:
        SourceModelError: there is none, or a file is damaged.
    """
    for name in ("config.json", "generation_config.json"):
        refuse_dangling(folder / name)
    raw = read_json(folder / "config.json")
    if raw is None:
        raise SourceModelError(f"{folder} is no model: it has no config.json")
    notes: list[str] = []
    content = _put_right(raw, notes)
    wishes = read_json(folder / "generation_config.json") or {}
    vocabulary = content.get("vocab_size")
    named = wishes.get("eos_token_id")
    ends = _ids(content.get("eos_token_id") if named is None else named)
    kept = tuple(token for token in ends if _is_in(token, vocabulary))
    if len(kept) < len(ends):
        out = ", ".join(str(token) for token in ends if token not in kept)
        notes.append(f"end token {out} lies beyond the vocabulary of {vocabulary}: left out")
        content["eos_token_id"] = list(kept) if kept[1:] else kept[0] if kept else None
    return SourceConfig(
        content=content,
        sampling={k: v for k, v in wishes.items() if k not in (*_TOKEN_KEYS, *_NOTES)},
        bos=_one(wishes, content, "bos_token_id", vocabulary),
        pad=_one(wishes, content, "pad_token_id", vocabulary),
        ends=kept,
        notes=tuple(notes),
    )


def _put_right(raw: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    content = {
        key: value
        for key, value in raw.items()
        if key not in _FOREIGN and (value is not None or key not in _NULL_IS_NONE)
    }
    named = content.get("architectures") or []
    if not named and content.get("model_type") in _ARCHITECTURES:
        named = [_ARCHITECTURES[content["model_type"]]]
        notes.append(f"config.json names no architectures: {named[0]} by its model_type")
    content["architectures"] = named[:1]
    if architecture_of(content) in SHAPES:
        # Others have defaults of their own.
        content["tie_word_embeddings"] = bool(content.get("tie_word_embeddings", False))
    return content


def _check_known(content: Mapping[str, Any]) -> None:
    """Refuse what no recipe can be carried out on."""
    if "quantization_config" in content:
        raise SourceModelError("the model is quantized already; give the original 16-bit weights")
    architecture = architecture_of(content)
    if architecture not in SHAPES:
        raise SourceModelError(
            f"architecture {architecture} is not supported (supported: {', '.join(SHAPES)})"
        )
    activation = content.get("hidden_act", "silu")
    if activation not in _ACTIVATIONS:
        raise SourceModelError(
            f"config.json: hidden_act is {activation!r}; engines compute "
            f"{architecture} with {_ACTIVATIONS[0]!r} alone"
        )


def architecture_of(content: Mapping[str, Any]) -> str:
    """The architecture that a configuration names."""
    named = content.get("architectures") or ["none named"]
    return str(named[0])


def _ids(value: object) -> tuple[int, ...]:
    """One token id or several, each once."""
    values = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(each for each in values if type(each) is int))


def _is_in(token: int, vocabulary: object) -> bool:
    return token >= 0 and (not isinstance(vocabulary, int) or token < vocabulary)


def _one(
    wishes: Mapping[str, Any], content: Mapping[str, Any], key: str, vocabulary: object
) -> int | None:
    found = _ids(wishes.get(key)) or _ids(content.get(key))
    return found[0] if found and _is_in(found[0], vocabulary) else None


def generation_config(config: SourceConfig, ends: tuple[int, ...]) -> dict[str, Any]:
    """What a served copy says in ``generation_config.json``: token ids, and no wishes."""
    several: list[int] | int | None = list(ends) if ends[1:] else ends[0] if ends else None
    values = {"bos_token_id": config.bos, "eos_token_id": several, "pad_token_id": config.pad}
    return {key: value for key, value in values.items() if value is not None}
