"""Which of vLLM's kernels are expected for a kind of checkpoint on a compute capability: data.

Kernels are named by how their classes' names begin, the best first. Read in vLLM 0.32
(``model_executor/kernels/linear``: the order in ``__init__.py``, each class's ``is_supported``) and
0.33, and in issues of vllm-project/vllm: #48898 and #48965 (NVFP4 on 12.0), #55397 (NVFP4 on 12.1),
#38484 (kernels missing from wheels for 12.1); attention in ``platforms/cuda.py`` and
``v1/attention/backends/fa_utils.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["bf16", "wna16", "fp8", "int8", "nvfp4", "nvfp4-w4a16", "mxfp4", "mxfp8", "mixed"]

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "bf16": "bf16",
        "gptq-int4-sym": "wna16",
        "gptq-int8-sym": "wna16",
        "awq-int4": "wna16",
        "modelopt-fp8": "fp8",
        "modelopt-fp8-channel": "fp8",
        "modelopt-fp8-kv": "fp8",
        "modelopt-nvfp4": "nvfp4",
        "modelopt-nvfp4-w4a16": "nvfp4-w4a16",
        "modelopt-mxfp8": "mxfp8",
        "modelopt-mixed": "mixed",
        "compressed-mxfp4": "mxfp4",
        "compressed-int8": "int8",
        "fp8-block": "fp8",
        "fp8-tensor": "fp8",
        "compressed-fp8-channel": "fp8",
        "compressed-fp8-tensor": "fp8",
        "compressed-fp8-block": "fp8",
        "compressed-int4": "wna16",
        "compressed-int8-weights": "wna16",
        "compressed-nvfp4": "nvfp4",
        # Of its linear layers the experts' alone are quantized.
        "gpt-oss-mxfp4": "mixed",
    }
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Kernels that compute a kind as it prescribes, and those that only read its weights.

    ``backend`` is what a plan's ``linear_backend`` must name to be given the first of them.
    """

    native: tuple[str, ...] = ()
    weight_only: tuple[str, ...] = ()
    backend: str | None = None

    @property
    def best(self) -> tuple[str, ...]:
        """What one would deploy there."""
        return self.native or self.weight_only


# Compute a kind whose kernels they are, but at a fraction of the others' speed.
SLOW = (
    *("Conch", "Exllama", "Triton", "BlockWiseTorch", "torch.nn.functional.linear"),
    *("AutoAWQLinearMethod", "AWQLinearMethod", "GPTQLinearMethod"),
)
# In wider numbers, rounded as the format prescribes: the quality counts, the speed does not.
EMULATED = "Emulation"
UNQUANTIZED = "UnquantizedLinearMethod"
# Embeddings and heads: no plan of ours quantizes them, and their kernel says nothing. ModelOpt's
# checkpoints name the head among the linear layers that stay wide.
EMBEDDING = "UnquantizedEmbeddingMethod"
HEADS = frozenset({"embed_tokens", "lm_head"})

_OLD = ("8.0", "8.9")
_BLACKWELL = ("10.0", "12.0", "12.1")
_READS = ("Marlin", "Humming")
_TORCH_FP8 = ("PerTensorTorch", "ChannelWiseTorch", "RowWiseTorch")


def _everywhere(kind: Kind, expected: Expected, *where: str) -> dict[tuple[Kind, str], Expected]:
    return {(kind, capability): expected for capability in where}


EXPECTED: Mapping[tuple[Kind, str], Expected] = MappingProxyType(
    {
        ("bf16", "cpu"): Expected(
            native=("ops.onednn_mm", "ops.weight_packed_linear", "torch.ops.zentorch")
        ),
        **_everywhere(
            "bf16",
            # Before 0.32 the method does not keep the function that it calls.
            Expected(native=("default_unquantized_gemm", "cuda_flashinfer_bf16_gemm", UNQUANTIZED)),
            *(*_OLD, "9.0", *_BLACKWELL),
        ),
        ("wna16", "cpu"): Expected(native=("CPUWNA16", "ZentorchWNA16", "Dynamic4bit")),
        **_everywhere(
            "wna16",
            Expected(native=("Marlin", "AllSpark", "Humming"), backend="marlin"),
            *(*_OLD, *_BLACKWELL),
        ),
        ("wna16", "9.0"): Expected(
            native=("Machete", "Marlin", "CutlassW4A8", "Humming"), backend="machete"
        ),
        ("fp8", "cpu"): Expected(native=("CPUFP8", "CPUFp8", *_TORCH_FP8)),
        ("fp8", "8.0"): Expected(weight_only=_READS, backend="marlin"),
        ("fp8", "8.9"): Expected(
            native=("Cutlass", *_TORCH_FP8), weight_only=_READS, backend="cutlass"
        ),
        ("fp8", "9.0"): Expected(
            native=("Cutlass", "DeepGemm", "FlashInferFp8DeepGEMM", *_TORCH_FP8),
            weight_only=_READS,
            backend="cutlass",
        ),
        **_everywhere(
            "fp8",
            Expected(
                native=("FlashInfer", "Cutlass", "DeepGemm", "B12x", *_TORCH_FP8),
                weight_only=_READS,
                backend="flashinfer_cutlass",
            ),
            *_BLACKWELL,
        ),
        ("int8", "cpu"): Expected(native=("CPUInt8", "ZentorchInt8")),
        **_everywhere("int8", Expected(native=("Cutlass",), backend="cutlass"), *_OLD, "9.0"),
        # Integers of 8 bits have no place in CUTLASS from Blackwell on.
        **_everywhere("int8", Expected(native=("TritonInt8", "Cutlass")), *_BLACKWELL),
        **_everywhere("nvfp4", Expected(weight_only=_READS, backend="marlin"), *_OLD, "9.0"),
        ("nvfp4", "10.0"): Expected(
            native=(
                *("FlashInferCuteDslNvFp4Linear", "FlashInferCutlass", "CutlassNvFp4"),
                *("FlashInferTrtllm", "FlashInferCudnn", "Fbgemm", "TorchNvFp4"),
            ),
            weight_only=(*_READS, "FlashInferCuteDslNvFp4W4A16"),
            backend="flashinfer_cutlass",
        ),
        **_everywhere(
            "nvfp4",
            Expected(
                native=(
                    *("FlashInferCutlass", "FlashInferB12x", "CutlassNvFp4", "FlashInferCudnn"),
                    *("B12xNvFp4Linear",),
                ),
                weight_only=(*_READS, "FlashInferCuteDslNvFp4W4A16", "B12xNvFp4W4A16"),
                backend="flashinfer_cutlass",
            ),
            *("12.0", "12.1"),
        ),
        **_everywhere("nvfp4-w4a16", Expected(native=_READS, backend="marlin"), *_OLD, "9.0"),
        **_everywhere(
            "nvfp4-w4a16",
            Expected(
                native=("FlashInferCuteDslNvFp4W4A16", *_READS, "B12xNvFp4W4A16"),
                backend="marlin",
            ),
            *_BLACKWELL,
        ),
        **_everywhere("mxfp4", Expected(weight_only=_READS, backend="marlin"), *_OLD, "9.0"),
        **_everywhere(
            "mxfp4",
            Expected(
                native=("FlashInferMxFp4", "B12xMxFp4"),
                weight_only=_READS,
                backend="flashinfer_cutlass",
            ),
            *_BLACKWELL,
        ),
        **_everywhere("mxfp8", Expected(weight_only=_READS, backend="marlin"), *_OLD, "9.0"),
        **_everywhere(
            "mxfp8",
            Expected(
                native=("FlashInfer", "DeepGemm", "B12xMxfp8"),
                weight_only=_READS,
                backend="flashinfer_cutlass",
            ),
            *_BLACKWELL,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class KnownFault:
    """A kernel that gives wrong answers for a kind on a capability, and what to take instead."""

    kind: Kind
    capability: str
    kernels: tuple[str, ...]
    words: str


KNOWN_FAULTS = (
    KnownFault(
        kind="nvfp4",
        capability="12.0",
        kernels=("FlashInferCutlass", "CutlassNvFp4"),
        words="is known for wrong answers where a GPU's share of a layer's inputs is no multiple "
        "of 32 (vllm#48898); `linear_backend: marlin` is right there",
    ),
)

# Attention backends in the order in which vLLM takes them; a FlashAttention that is older than the
# capability's own is slower.
ATTENTION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(_OLD, ("FLASH_ATTN 2", "FLASHINFER")),
        "9.0": ("FLASH_ATTN 3", "FLASH_ATTN 4", "FLASHINFER"),
        "10.0": ("FLASHINFER", "FLASH_ATTN 4", "FLASH_ATTN 2"),
        **dict.fromkeys(("12.0", "12.1"), ("FLASH_ATTN 2", "FLASHINFER")),
    }
)


def capability_row(capability: str | None) -> str | None:
    """The row of the tables for a compute capability; None where they have none (8.6 reads 8.0).

    11.0 (Thor) has the matrix instructions of 10.0.
    """
    if capability is None:
        return "cpu"
    major, minor = (int(part) for part in capability.split("."))
    exact = f"{major}.{minor}"
    if exact in ATTENTION:
        return exact
    return {8: "8.0", 9: "9.0", 10: "10.0", 11: "10.0", 12: "12.0"}.get(major)
