"""The METHODS table: which code carries out a recipe, with which tool."""

from collections.abc import Mapping
from types import MappingProxyType

from quantize import bf16_copy, gguf_export, packed_int4
from quantize.method import MethodSpec
from quantize.recipes import Method

METHODS: Mapping[Method, MethodSpec] = MappingProxyType(
    {
        "copy": MethodSpec(tool=None, environment=None, version=1, make=bf16_copy.make),
        "gptq": MethodSpec(
            tool="gptqmodel", environment="quantize", version=1, make=packed_int4.make
        ),
        "awq": MethodSpec(
            tool="gptqmodel", environment="quantize", version=1, make=packed_int4.make
        ),
        "gguf": MethodSpec(
            tool="llama-cpp-python", environment="llamacpp", version=1, make=gguf_export.make
        ),
    }
)
