"""The recipes of GPTQModel: GPTQ, AWQ, and plain rounding to hold both against.

Three and two bits, and activation order with groups, are for the transformers engine alone.
"""

from types import MappingProxyType

from quantize.formats.layer_format import WHOLE_ROW
from quantize.formats.storage_format import Parameter
from quantize.formats.storage_formats import FORMATS
from quantize.recipes.recipe import Method, Recipe


def _packed(
    method: Method, form: str, group_size: int, suffix: str = "", **parameters: Parameter
) -> Recipe:
    """``<method>-int<bits>-g<group size>``."""
    row = FORMATS[form]
    group = "channel" if group_size == WHOLE_ROW else f"g{group_size}"
    return Recipe(
        name=f"{method}-int{row.bits}-{group}{suffix}",
        method=method,
        format=row,
        calibrated=method != "rtn",
        parameters=MappingProxyType({"bits": row.bits, "group_size": group_size, **parameters}),
    )


def _gptq(form: str, group_size: int, *, actorder: bool = False) -> Recipe:
    """GPTQ; without activation order the groups themselves are put in the order of activations."""
    return _packed(
        "gptq",
        form,
        group_size,
        "-actorder" if actorder else "",
        symmetric=True,
        desc_act=actorder,
        damp_percent=0.05,
        act_group_aware=not actorder,
    )


def _awq(group_size: int) -> Recipe:
    """AWQ with zero points."""
    return _packed("awq", "awq-int4", group_size, symmetric=False)


def _rtn(form: str, group_size: int) -> Recipe:
    """Round to nearest: the control without calibration, in GPTQ's checkpoint format."""
    return _packed("rtn", form, group_size, symmetric=True)


GPTQ_RECIPES = (
    _gptq("gptq-int8-sym", 128),
    _gptq("gptq-int4-sym", 32),
    _gptq("gptq-int4-sym", 64),
    _gptq("gptq-int4-sym", 128),
    _gptq("gptq-int4-actorder", 128, actorder=True),
    _gptq("gptq-int4-sym", WHOLE_ROW, actorder=True),
    _gptq("gptq-int3-sym", 128),
    _gptq("gptq-int2-sym", 64),
    _awq(32),
    _awq(64),
    _awq(128),
    _rtn("gptq-int4-sym", 32),
    _rtn("gptq-int4-sym", 64),
    _rtn("gptq-int4-sym", 128),
)
