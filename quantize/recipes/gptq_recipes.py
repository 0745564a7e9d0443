"""The recipes of GPTQModel: GPTQ, AWQ, and plain rounding to hold both against.

What engines load of them (vLLM 0.32: ``auto_gptq.py``, ``auto_awq.py`` and their kernels): GPTQ
with 4 or 8 bits, symmetric; activation order only with one group per row, where it changes no
layout; AWQ with 4 bits and zero points. Its CPU kernel has 4 bits alone. Three and two bits, and
activation order with groups, are for the transformers engine.
"""

from types import MappingProxyType

from quantize.recipes.recipe import WHOLE_ROW, Checkpoint, Method, Parameter, Recipe

_SCALE_BITS = 16
# GPTQ stores 32 bits of group index per input; layers have at least so many outputs.
_INDEX_BITS = 32
_FEWEST_OUTPUTS = 64
# The packers fill words of 32 bits along both dimensions.
_PACKED_MULTIPLE = 32


def _group_name(group_size: int) -> str:
    return "channel" if group_size == WHOLE_ROW else f"g{group_size}"


def _effective_bits(bits: int, group_size: int, *, index: bool) -> tuple[float, float]:
    """The values, and per group a 16-bit scale and a zero point as wide as a value."""
    per_group = _SCALE_BITS + bits
    low = bits + (per_group / group_size if group_size > 0 else 0)
    high = bits + per_group / (group_size if group_size > 0 else _PACKED_MULTIPLE)
    return low, high + (_INDEX_BITS / _FEWEST_OUTPUTS if index else 0)


def _packed(
    name: str,
    method: Method,
    checkpoint: Checkpoint,
    bits: int,
    group_size: int,
    announced: dict[str, Parameter],
    **parameters: Parameter,
) -> Recipe:
    family = "awq" if method == "awq" else "gptq"
    return Recipe(
        name=name,
        method=method,
        checkpoint=checkpoint,
        weight_format="safetensors",
        bits=bits,
        effective_bits=_effective_bits(bits, group_size, index=family == "gptq"),
        layer_kinds=frozenset({f"{family.upper()}-INT{bits}"}),
        row_multiple=_PACKED_MULTIPLE if group_size == WHOLE_ROW else group_size,
        calibrated=method != "rtn",
        parameters=MappingProxyType({"bits": bits, "group_size": group_size, **parameters}),
        announced=MappingProxyType(
            {"quant_method": family, "bits": bits, "group_size": group_size, **announced}
        ),
    )


def _gptq(bits: int, group_size: int, checkpoint: Checkpoint, *, actorder: bool = False) -> Recipe:
    """GPTQ; without activation order the groups themselves are put in the order of activations."""
    return _packed(
        f"gptq-int{bits}-{_group_name(group_size)}" + ("-actorder" if actorder else ""),
        "gptq",
        checkpoint,
        bits,
        group_size,
        {"desc_act": actorder, "sym": True},
        symmetric=True,
        desc_act=actorder,
        damp_percent=0.05,
        act_group_aware=not actorder,
    )


def _awq(group_size: int) -> Recipe:
    """AWQ with zero points."""
    name = f"awq-int4-{_group_name(group_size)}"
    return _packed(name, "awq", "awq-int4", 4, group_size, {"zero_point": True}, symmetric=False)


def _rtn(group_size: int) -> Recipe:
    """Round to nearest: the control without calibration, in GPTQ's checkpoint format."""
    name = f"rtn-int4-{_group_name(group_size)}"
    announced: dict[str, Parameter] = {"desc_act": False, "sym": True}
    return _packed(name, "rtn", "gptq-int4-sym", 4, group_size, announced, symmetric=True)


GPTQ_RECIPES = (
    _gptq(8, 128, "gptq-int8-sym"),
    _gptq(4, 32, "gptq-int4-sym"),
    _gptq(4, 64, "gptq-int4-sym"),
    _gptq(4, 128, "gptq-int4-sym"),
    _gptq(4, 128, "gptq-int4-actorder", actorder=True),
    _gptq(4, WHOLE_ROW, "gptq-int4-sym", actorder=True),
    _gptq(3, 128, "gptq-int3-sym"),
    _gptq(2, 64, "gptq-int2-sym"),
    _awq(32),
    _awq(64),
    _awq(128),
    _rtn(32),
    _rtn(128),
)
