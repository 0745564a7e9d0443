"""Formats say whether inputs are rounded; a format that is new has to say it too."""

from quantize.formats.input_kinds import rounds_inputs
from quantize.recipes.catalogue import RECIPES


def test_formats_with_narrow_inputs_round_them_and_weight_only_formats_do_not() -> None:
    rounding = {name for name, recipe in RECIPES.items() if rounds_inputs(recipe.checkpoint)}
    assert {"fp8", "fp8-kv", "fp8-per-channel", "int8-w8a8", "nvfp4", "mxfp4", "mxfp8"} <= rounding
    kept = {"bf16", "nvfp4-w4a16", "int4-awq", "gptq-int4-g128", "awq-int4-g128", "gguf-q4_k_m"}
    assert not kept & rounding
    assert rounds_inputs("modelopt-mixed")
