"""The FORMATS table: every format in which weights are stored, one row each.

A row says which tensors a layer has, of which types and shapes; how its inputs are rounded; how
``config.json`` announces it; and which engines load it, on what. Everything else reads it here: the
proof of an artifact its tensors (artifact/stored_layers.py), the decoder its announcement
(announced_schemes.py, in_quantize/decode_formats.py), the planner its bits
(sizing/weight_bytes.py), the engines' specifications what they load (services/engines).

To add a format:

1. this file: a row, with a LayerFormat where its tensors are new;
2. in_quantize/decode_formats.py: a decoder, where ``coding`` is new;
3. recipes/<tool>_recipes.py: a recipe that names the row and adds what it chooses itself; where
   no tool of ours writes it, a method too: its name in recipes/recipe.py, its row in methods.py,
   its two rates in sizing/estimate.py, its room in README.md and tests/rooms.py;
4. services/engines/vllm_kernel_table.py: where vLLM loads it, which kernels are expected for it;
   services/engines/<engine>_engine.py only where an engine needs another command line for it.

Two layouts of the same shapes (GPTQModel keeps 5, 6 and 7 bits in planes, ``gptq_p``) can be told
apart by what they announce alone: it belongs in the row, and the decoded weights of a round-to-
nearest recipe must be held against the source. tests/quantize/formats/test_storage_formats.py says
what a row lacks. If people are to see the format in the explorer's pictures too,
eval/explore/in_quantize/explored_formats.py chooses what it shows.

Sources: modelopt/torch/export/quant_utils.py and convert_hf_config.py (names, kinds and shapes of
modelopt's tensors, ``quant_algo``); compressed_tensors/compressors; OCP Microscaling Formats 1.0
(a scale E8M0 per 32 values); gptqmodel/nn_modules/qlinear (GPTQ as auto-gptq, AWQ as autoawq packs,
GEMM). What engines load: vLLM 0.32 (under ``vllm/model_executor``: ``kernels/linear/__init__.py``,
``layers/quantization/{auto_gptq,auto_awq,modelopt}.py``, ``utils/gptq_utils.py``, for a CPU
``kernels/linear/mixed_precision/cpu.py``); TensorRT-LLM's ``docs/source/features/quantization.md``
(commit 09d4c79b).
"""

from collections.abc import Mapping
from types import MappingProxyType

from quantize.formats.engine_support import (
    DEVICES,
    EMULATED_ANYWHERE,
    GPUS,
    Devices,
    native_and_weight_only,
    on,
)
from quantize.formats.gguf_types import GGUF_TYPES
from quantize.formats.layer_format import LayerFormat, block_layer, layer_format
from quantize.formats.storage_format import Parameter, StorageFormat
from quantize.machine import Device

# What every mix of llama.cpp uses for the few weights that all experts of a mixture share.
_SHARED_BY_EXPERTS = ["Q8_0", "Q5_K", "Q4_K"]
# GPTQ's and AWQ's packers fill words of 32 bits along both dimensions.
_PACKED_ROWS = 32
# GPTQ's 32 bits of group index per input, of a layer that has 64 outputs.
_INDEX_BITS = 32 / 64
# Operands of eight bits are taken sixteen inputs at a time.
_TENSOR_CORE_ROWS = 16
# Scales of a quantized KV cache: beside the weights of a layer, and no part of it.
CACHE_SCALES = ("k_scale", "v_scale")

_BF16 = layer_format("BF16", "plain", "weight BF16 (out, in)")
_FP8 = layer_format(
    "FP8",
    "fp8",
    "weight F8_E4M3 (out, in)",
    "weight_scale F32|BF16|F16 ()",
    "input_scale F32|BF16|F16 ()",
    inputs="fp8",
)
_FP8_CHANNEL = layer_format(
    "FP8-CHANNEL",
    "fp8",
    "weight F8_E4M3 (out, in)",
    "weight_scale F32 (out)",
    inputs="fp8-token",
)
_NVFP4 = layer_format(
    "NVFP4",
    "nvfp4",
    "weight U8 (out, in/2)",
    "weight_scale F8_E4M3 (out, groups)",
    "weight_scale_2 F32 ()",
    "input_scale F32 ()",
    group=16,
    inputs="nvfp4",
)
_NVFP4_W4A16 = layer_format(
    "NVFP4-W4A16",
    "nvfp4",
    "weight U8 (out, in/2)",
    "weight_scale F8_E4M3 (out, groups)",
    "weight_scale_2 F32 ()",
    group=16,
)
_MXFP4 = layer_format(
    "MXFP4",
    "mxfp4",
    "weight_packed U8 (out, in/2)",
    "weight_scale U8 (out, groups)",
    group=32,
    inputs="mxfp4",
)
_MXFP8 = layer_format(
    "MXFP8",
    "mxfp8",
    "weight F8_E4M3 (out, in)",
    "weight_scale U8 (out, groups)",
    group=32,
    inputs="mxfp8",
)
_INT8_CHANNEL = layer_format(
    "INT8-CHANNEL",
    "int8",
    "weight I8 (out, in)",
    "weight_scale F32|BF16|F16 (out, 1)",
    inputs="int8-token",
)
_INT4_AWQ = layer_format(
    "INT4-AWQ",
    "int4-row-pairs",
    "weight U8 (out/2, in)",
    "weight_scale F32 (out, groups)",
    "pre_quant_scale? BF16 (in)",
    group=128,
)
GGUF_LAYERS: Mapping[str, LayerFormat] = {
    name: block_layer(block) for name, block in GGUF_TYPES.items()
}


def _gptq_layer(bits: int) -> LayerFormat:
    """Integers of so many bits end to end in 32-bit words; each input names its group."""
    return layer_format(
        f"GPTQ-INT{bits}",
        "gptq",
        f"qweight I32 (in*{bits}/32, out)",
        f"qzeros I32 (groups, out*{bits}/32)",
        "scales F16|BF16 (groups, out)",
        "g_idx I32 (in)",
        group=0,
    )


def _awq_layer(bits: int) -> LayerFormat:
    """The same integers along the outputs, in runs of inputs."""
    return layer_format(
        f"AWQ-INT{bits}",
        "awq",
        f"qweight I32 (in, out*{bits}/32)",
        f"qzeros I32 (groups, out*{bits}/32)",
        "scales F16|BF16 (groups, out)",
        group=0,
    )


_FP8_GPUS: tuple[Device, ...] = ("ada", "hopper", "blackwell")
_FP8_ON_VLLM = native_and_weight_only(_FP8_GPUS, ("ampere",))
# FP4 arithmetic came with Blackwell; Marlin computes with 16-bit inputs on what is older.
_BLOCKS_ON_VLLM = native_and_weight_only(("blackwell",), ("ampere", "ada", "hopper"))


def _loaded(*, vllm: Devices | None = None, trtllm: Devices | None = None) -> Mapping[str, Devices]:
    """Who loads a safetensors format; the transformers engine emulates every one."""
    engines = {"vllm": vllm, "trtllm": trtllm, "transformers": EMULATED_ANYWHERE}
    return MappingProxyType({name: where for name, where in engines.items() if where is not None})


def _said(**entries: Parameter) -> Mapping[str, Parameter]:
    """What ``quantization_config`` says; two underscores go one level down."""
    return MappingProxyType({key.replace("__", "."): value for key, value in entries.items()})


def _gptq(bits: int, order: str = "sym", vllm: Devices | None = None) -> StorageFormat:
    """GPTQ, symmetric. Activation order with one group per row changes no layout: ``sym`` too."""
    return StorageFormat(
        name=f"gptq-int{bits}-{order}",
        layers=(_gptq_layer(bits),),
        announced=_said(quant_method="gptq", bits=bits, sym=True, desc_act=False),
        chosen=("group_size", "desc_act"),
        row_unit=_PACKED_ROWS,
        spare_bits=_INDEX_BITS,
        engines=_loaded(vllm=vllm),
    )


def _gguf(file_type: str, mix_bits: tuple[float, float], kinds: str) -> StorageFormat:
    """A file of one of llama.cpp's file types: a mix, named after what most layers get.

    Some get a wider type, the more of them the fewer layers a model has (llama-quant.cpp).
    """
    listed = dict.fromkeys(kinds.split() + ([] if file_type == "BF16" else _SHARED_BY_EXPERTS))
    return StorageFormat(
        name=f"gguf-{file_type.lower()}",
        layers=tuple(GGUF_LAYERS[kind] for kind in listed),
        weight_format="gguf",
        mix_bits=mix_bits,
        engines=MappingProxyType({"llamacpp": on(*DEVICES)}),
    )


_ALL = (
    StorageFormat(
        name="bf16",
        layers=(_BF16,),
        engines=_loaded(vllm=on(*DEVICES), trtllm=on(*GPUS)),
    ),
    # vLLM has kernels for 4 and 8 bits, on a CPU for 4 alone, and none for activation order in
    # groups.
    _gptq(8, vllm=on(*GPUS)),
    _gptq(4, vllm=on(*DEVICES)),
    _gptq(4, "actorder"),
    _gptq(3),
    _gptq(2),
    StorageFormat(
        name="awq-int4",
        layers=(_awq_layer(4),),
        announced=_said(quant_method="awq", bits=4, zero_point=True),
        chosen=("group_size",),
        row_unit=_PACKED_ROWS,
        engines=_loaded(vllm=on(*DEVICES)),
    ),
    StorageFormat(
        name="modelopt-fp8",
        layers=(_FP8,),
        announced=_said(quant_method="modelopt", quant_algo="FP8"),
        row_unit=_TENSOR_CORE_ROWS,
        spare_bits=0.05,
        engines=_loaded(vllm=_FP8_ON_VLLM, trtllm=on(*_FP8_GPUS)),
    ),
    StorageFormat(
        name="modelopt-fp8-channel",
        layers=(_FP8_CHANNEL,),
        announced=_said(quant_method="modelopt", quant_algo="FP8_PER_CHANNEL_PER_TOKEN"),
        row_unit=_TENSOR_CORE_ROWS,
        spare_bits=0.3,
        # vLLM's CPU build has no operation for a static scale of FP8 inputs: of the FP8 formats
        # it serves this one alone.
        engines=_loaded(
            vllm=native_and_weight_only(("cpu", *_FP8_GPUS), ("ampere",)), trtllm=on("hopper")
        ),
    ),
    StorageFormat(
        name="modelopt-fp8-kv",
        layers=(_FP8,),
        announced=_said(
            quant_method="modelopt",
            quant_algo="FP8",
            kv_cache_scheme__num_bits=8,
            kv_cache_scheme__type="float",
        ),
        row_unit=_TENSOR_CORE_ROWS,
        spare_bits=0.05,
        cache_bytes=1,
        engines=_loaded(vllm=_FP8_ON_VLLM, trtllm=on(*_FP8_GPUS)),
    ),
    StorageFormat(
        name="modelopt-nvfp4",
        layers=(_NVFP4,),
        announced=_said(quant_method="modelopt", quant_algo="NVFP4"),
        spare_bits=0.1,
        engines=_loaded(vllm=_BLOCKS_ON_VLLM, trtllm=on("blackwell")),
    ),
    StorageFormat(
        name="modelopt-nvfp4-w4a16",
        layers=(_NVFP4_W4A16,),
        announced=_said(quant_method="modelopt", quant_algo="W4A16_NVFP4"),
        spare_bits=0.1,
        engines=_loaded(vllm=on(*GPUS)),
    ),
    StorageFormat(
        name="modelopt-mxfp8",
        layers=(_MXFP8,),
        announced=_said(quant_method="modelopt", quant_algo="MXFP8"),
        engines=_loaded(vllm=_BLOCKS_ON_VLLM),
    ),
    # vLLM loads no INT4 AWQ of modelopt's.
    StorageFormat(
        name="modelopt-int4-awq",
        layers=(_INT4_AWQ,),
        announced=_said(quant_method="modelopt", quant_algo="W4A16_AWQ"),
        spare_bits=0.15,
        engines=_loaded(trtllm=on("ampere", "ada", "hopper")),
    ),
    # What a weight costs is the recipe's budget.
    StorageFormat(
        name="modelopt-mixed",
        layers=(_NVFP4, _FP8, _BF16),
        announced=_said(quant_method="modelopt", quant_algo="MIXED_PRECISION"),
        alone=tuple(_said(quant_method="modelopt", quant_algo=it) for it in ("NVFP4", "FP8")),
        mix_bits=(4.5, 16),
        engines=_loaded(vllm=_BLOCKS_ON_VLLM),
    ),
    StorageFormat(
        name="compressed-mxfp4",
        layers=(_MXFP4,),
        announced=_said(quant_method="compressed-tensors", format="mxfp4-pack-quantized"),
        engines=_loaded(vllm=_BLOCKS_ON_VLLM),
    ),
    StorageFormat(
        name="compressed-int8",
        layers=(_INT8_CHANNEL,),
        announced=_said(quant_method="compressed-tensors", format="int-quantized"),
        row_unit=_TENSOR_CORE_ROWS,
        spare_bits=0.3,
        engines=_loaded(vllm=on(*DEVICES)),
    ),
    _gguf("BF16", (16, 16), "BF16"),
    _gguf("Q8_0", (8.5, 8.5), "Q8_0"),
    _gguf("Q6_K", (6.5, 6.8), "Q6_K"),
    _gguf("Q5_K_M", (5.5, 6.2), "Q5_K Q6_K"),
    _gguf("Q4_K_M", (4.5, 5.8), "Q4_K Q6_K"),
    _gguf("Q4_0", (4.5, 4.9), "Q4_0"),
    _gguf("IQ4_XS", (4.25, 4.7), "IQ4_XS"),
    _gguf("Q3_K_M", (3.4, 4.6), "Q3_K"),
    _gguf("IQ3_S", (3.4, 3.8), "IQ3_S"),
    _gguf("IQ3_XXS", (3, 3.4), "IQ3_XXS IQ3_S IQ2_S"),
    _gguf("Q2_K", (2.6, 4), "Q2_K Q3_K"),
    _gguf("IQ2_M", (2.5, 3.2), "IQ2_S IQ3_S"),
    _gguf("IQ2_XS", (2.3, 2.9), "IQ2_XS Q2_K"),
    _gguf("IQ2_XXS", (2, 2.7), "IQ2_XXS Q2_K"),
    _gguf("IQ1_M", (1.75, 2.4), "IQ1_M IQ2_XXS Q2_K"),
)
FORMATS: Mapping[str, StorageFormat] = MappingProxyType({row.name: row for row in _ALL})
LAYER_FORMATS: Mapping[str, LayerFormat] = MappingProxyType(
    {
        layer.name: layer
        for row in _ALL
        if row.weight_format == "safetensors"
        for layer in row.layers
    }
)
