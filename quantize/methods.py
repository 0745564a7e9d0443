"""The METHODS table: which code carries out a recipe, with which tool."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from quantize import bf16_copy, native_files
from quantize.by_gptqmodel import gptqmodel_checkpoint
from quantize.by_gptqmodel.gptqmodel_job import GPTQMODEL
from quantize.by_llamacpp import gguf_export
from quantize.by_modelopt import modelopt_checkpoint
from quantize.by_modelopt.modelopt_job import MODELOPT
from quantize.method import MethodSpec
from quantize.recipes.catalogue import Method, with_sources

LIBRARIES_FROM = "quantize"
_LIBRARIES = ("torch", "transformers")


_GPTQMODEL = MethodSpec(
    tool="gptqmodel",
    environment="quantize",
    make=gptqmodel_checkpoint.make,
    libraries=_LIBRARIES,
    worker_module=GPTQMODEL.module,
)

METHODS: Mapping[Method, MethodSpec] = MappingProxyType(
    {
        "copy": MethodSpec(tool=None, environment=None, make=bf16_copy.make),
        "native": MethodSpec(tool=None, environment=None, make=native_files.make),
        "gptq": _GPTQMODEL,
        "awq": _GPTQMODEL,
        "rtn": _GPTQMODEL,
        "gguf": MethodSpec(
            tool="llama-cpp-python",
            environment="llamacpp",
            make=gguf_export.make,
            libraries=_LIBRARIES,
        ),
        "modelopt": MethodSpec(
            tool="nvidia-modelopt",
            environment="quantize",
            make=modelopt_checkpoint.make,
            libraries=_LIBRARIES,
            worker_module=MODELOPT.module,
        ),
    }
)


def environments_of(recipes: Iterable[str]) -> list[str]:
    """The environments whose versions of tools and libraries decide these recipes' artifacts.

    Raises:
        ValueError: there is no such recipe.
    """
    found = set()
    for recipe in with_sources(list(recipes)):
        spec = METHODS[recipe.method]
        found |= {spec.environment} if spec.environment else set()
        found |= {LIBRARIES_FROM} if spec.libraries else set()
    return sorted(found)
