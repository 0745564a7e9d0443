"""Which variants are worth comparing on which kind of device, in the order of their worth.

A candidate is one way to serve the model with others that stand in for it, finest first: a group
of 128 values does not divide every width. On a GPU vLLM runs on kernels of its own for each format
(vLLM, "Supported Hardware" of its quantization pages); 4-bit floats are computed as such from
Blackwell on and only shrink the weights before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from quantize.machine import Device


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The first of ``variants`` that can be made and run is taken; ``why`` it is worth a place."""

    variants: tuple[str, ...]
    why: str


def _one(variant: str, why: str) -> Candidate:
    return Candidate(variants=(variant,), why=why)


def as_published(*variants: str) -> Candidate:
    """A checkpoint of others, on the first of these that runs it."""
    return Candidate(variants=variants, why="as it was published")


def _grouped(method: str, why: str) -> Candidate:
    sizes = (128, 64, 32)
    return Candidate(variants=tuple(f"{method}-int4-g{size}-vllm" for size in sizes), why=why)


_BF16 = _one("bf16-vllm", "the baseline: the model as it is")
_FP8 = _one("fp8-vllm", "half the bytes, weights and inputs in FP8")
_FP8_CHANNEL = _one("fp8-per-channel-vllm", "FP8 with a scale per row and per token")
_FP8_CACHE = _one("fp8-kv-vllm", "FP8 with a key-value cache in FP8: twice the context")
_INT8 = _one("int8-w8a8-vllm", "8-bit integers, weights and inputs")
_GPTQ = _grouped("gptq", "4-bit weights, fitted to the model's own activations")
_AWQ = _grouped("awq", "4-bit weights, scaled by the model's own activations")
_NVFP4 = _one("nvfp4-vllm", "4-bit floats in blocks of 16, weights and inputs")
_NVFP4_WEIGHTS = _one("nvfp4-w4a16-vllm", "4-bit floats in blocks of 16, weights only here")
_MXFP4 = _one("mxfp4-vllm", "4-bit floats in blocks of 32")
_Q8 = _one("gguf-q8_0", "llama.cpp, 8 bits")
_Q5 = _one("gguf-q5_k_m", "llama.cpp, about 5.5 bits")
_Q4 = _one("gguf-q4_k_m", "llama.cpp, about 4.8 bits: what most people download")
_Q2 = _one("gguf-q2_k", "llama.cpp, as small as it gets")
_GGUF = _one("gguf-bf16", "llama.cpp with the model as it is: tells the engine from the format")
_EMULATED_FP8 = _one("fp8-transformers", "what FP8 costs in quality; its speed says nothing here")
_EMULATED_NVFP4 = _one("nvfp4-transformers", "what NVFP4 costs in quality; speed says nothing")

CANDIDATES: Mapping[Device, tuple[Candidate, ...]] = MappingProxyType(
    {
        "cpu": (_BF16, _GPTQ, _GGUF, _Q8, _Q5, _Q4, _Q2, _EMULATED_FP8, _EMULATED_NVFP4),
        "ampere": (_BF16, _INT8, _GPTQ, _AWQ, _FP8, _Q8, _Q4),
        "ada": (_BF16, _FP8, _INT8, _GPTQ, _AWQ, _FP8_CACHE, _Q8, _Q4),
        "hopper": (
            *(_BF16, _FP8, _FP8_CHANNEL, _INT8, _GPTQ, _AWQ, _NVFP4_WEIGHTS, _MXFP4, _FP8_CACHE),
            *(_Q8, _Q4),
        ),
        "blackwell": (_BF16, _NVFP4, _FP8, _MXFP4, _GPTQ, _AWQ, _FP8_CACHE, _Q8, _Q4),
    }
)
