"""Hold a checkpoint's tensors against its own configuration.

Tools give a weight that a checkpoint lacks random values; one too many some leave out and some use,
all without an error: the artifact would look whole and be another model.
"""

import re
from collections.abc import Iterable, Iterator

from quantize.artifact.stored_tensor import StoredTensor
from quantize.source.model_shape import Linear, ModelShape

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
_BLOCKS = "model.layers."
# Tables of rotary frequencies that old checkpoints hold; every tool computes them anew.
_COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$")
# Mixtral's names of what the other architectures call gate_proj, up_proj and down_proj.
_MIXTRAL = {"gate": "w1", "up": "w3", "down": "w2"}


class SourceTensorError(ValueError):
    """The weights are not those of the configuration; the message names the tensor."""


def check_tensors(shape: ModelShape, tensors: Iterable[StoredTensor]) -> None:
    """Refuse a checkpoint that lacks a tensor, has one of another size, or has one too many.

    A head beside a tied embedding is let through: whether it is the same is for the caller to see.

    Raises:
        SourceTensorError: naming the first such tensor.
    """
    stored = {tensor.name: tensor.shape for tensor in tensors}
    expected = dict(_expected(shape))
    for name, sizes in expected.items():
        if name not in stored:
            raise SourceTensorError(_lacking(name))
        if stored[name] != sizes:
            raise SourceTensorError(
                f"{name} is {_sizes(stored[name])}, but config.json asks for {_sizes(sizes)}; "
                "give the configuration that belongs to the weights"
            )
    for name in stored:
        known = name in expected or _COMPUTED.search(name) or (shape.tied and name == HEAD)
        if not known:
            raise SourceTensorError(_superfluous(name, shape))


def lacking_module(shape: ModelShape, tensors: Iterable[StoredTensor]) -> str | None:
    """The first linear layer of a known architecture of which nothing is stored, in any format."""
    stored = {tensor.name.rpartition(".")[0] for tensor in tensors}
    for linear in shape.linears:
        for name in _names(shape, linear):
            module = name.removesuffix(".weight")
            if module not in stored:
                return module
    return None


def _lacking(name: str) -> str:
    hint = " (or set tie_word_embeddings, if the embedding is the head)" if name == HEAD else ""
    return (
        f"{name} is missing from the weights, but config.json asks for it; "
        f"give the whole checkpoint{hint}"
    )


def _superfluous(name: str, shape: ModelShape) -> str:
    block = name.removeprefix(_BLOCKS).partition(".")[0]
    if name.startswith(_BLOCKS) and block.isdecimal() and int(block) >= shape.blocks:
        return (
            f"{name} is one too many: config.json names {shape.blocks} layers; "
            "give the configuration that belongs to the weights"
        )
    hint = (
        "if the model was trained with it, say so in config.json (attention_bias, mlp_bias) or "
        "name the architecture that has it"
        if name.endswith(".bias")
        else "some tools would use it and others not; remove it"
    )
    return f"{name}: {shape.architecture} has no such tensor with this config.json; {hint}"


def _expected(shape: ModelShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    table = (shape.vocabulary, shape.hidden)
    yield EMBEDDING, table
    for linear in shape.linears:
        for name in _names(shape, linear):
            yield name, (linear.outputs, linear.inputs)
            if linear.role in shape.biased:
                yield f"{name.removesuffix('weight')}bias", (linear.outputs,)
        if linear.role == "gate" and linear.copies > 1:
            yield f"{_experts(shape, linear)}gate.weight", (linear.copies, shape.hidden)
    for block in range(shape.blocks):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{_BLOCKS}{block}.{norm}.weight", (shape.hidden,)
        for norm in ("q_norm", "k_norm") if shape.architecture.startswith("Qwen3") else ():
            yield f"{_BLOCKS}{block}.self_attn.{norm}.weight", (shape.head_size,)
    yield "model.norm.weight", (shape.hidden,)
    if not shape.tied:
        yield HEAD, table


def _names(shape: ModelShape, linear: Linear) -> Iterator[str]:
    """What a layer's copies are called in the checkpoints of the architecture."""
    block = f"{_BLOCKS}{linear.block}."
    if linear.role in ("q", "k", "v", "o"):
        yield f"{block}self_attn.{linear.role}_proj.weight"
    elif linear.copies == 1:
        yield f"{block}mlp.{linear.role}_proj.weight"
    else:
        layer = _MIXTRAL[linear.role] if _is_mixtral(shape) else f"{linear.role}_proj"
        for expert in range(linear.copies):
            yield f"{_experts(shape, linear)}experts.{expert}.{layer}.weight"


def _experts(shape: ModelShape, linear: Linear) -> str:
    """The module of a block that holds its router and its experts, with a dot at the end."""
    module = "block_sparse_moe" if _is_mixtral(shape) else "mlp"
    return f"{_BLOCKS}{linear.block}.{module}."


def _is_mixtral(shape: ModelShape) -> bool:
    return shape.architecture == "MixtralForCausalLM"


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape)
