"""What vLLM's worker and log told of their kernels, by card: measured or read, as each says.

``H100`` is what the workers of vLLM 0.26.0 told on an H100, of an 8B shape with CUDA graphs. Else
9.0: told by vLLM 0.26 and 0.25.1 on an H200 (of log lines the wording; times are left out). 10.0,
12.0 and 12.1: from the order and the conditions in vLLM 0.32's ``kernels/linear/__init__.py``, and
from vllm-project/vllm#48898 (12.0), #55397 and eugr/spark-vllm-docker#143 (12.1).
"""

from services.engines.kernels import AttentionKernel, Kernels, LinearKernel

_NAMES = ("down_proj", "gate_up_proj", "o_proj", "qkv_proj")
_ATTENTION = {
    "9.0": AttentionKernel(backend="FLASH_ATTN", version=3, layers=32),
    "10.0": AttentionKernel(backend="FLASHINFER", layers=32),
    "12.0": AttentionKernel(backend="FLASH_ATTN", version=2, layers=32),
    "12.1": AttentionKernel(backend="FLASH_ATTN", version=2, layers=32),
}
HEAD = LinearKernel(
    method="UnquantizedEmbeddingMethod", layers=2, names=("embed_tokens", "lm_head")
)


def on_card(
    capability: str,
    method: str,
    kernel: str | None,
    *,
    attention: AttentionKernel | None = None,
    eager: bool = False,
) -> Kernels:
    """A dense model of 32 layers on a card."""
    layers = LinearKernel(method=method, kernel=kernel, layers=128, names=_NAMES)
    return Kernels(
        device="gpu",
        capability=capability,
        linear=(HEAD, layers),
        attention=(attention or _ATTENTION[capability],),
        graphs="NONE" if eager else "FULL_AND_PIECEWISE",
        compiled=not eager,
        eager=eager,
    )


_EMBEDDING = LinearKernel(method="UnquantizedEmbeddingMethod", layers=1, names=("embed_tokens",))
_WIDE_HEAD = LinearKernel(method="UnquantizedLinearMethod", layers=1, names=("lm_head",))


def _on_h100(*linear: LinearKernel) -> Kernels:
    return Kernels(
        device="gpu",
        capability="9.0",
        linear=linear,
        attention=(AttentionKernel(backend="FLASH_ATTN", version=3, layers=32),),
        graphs="FULL_AND_PIECEWISE",
        compiled=True,
        eager=False,
    )


def _blocks(method: str, kernel: str | None) -> LinearKernel:
    return LinearKernel(method=method, kernel=kernel, layers=128, names=_NAMES)


H100 = {
    "bf16": _on_h100(HEAD, _blocks("UnquantizedLinearMethod", None)),
    "modelopt-fp8": _on_h100(
        _EMBEDDING,
        _blocks("ModelOptFp8LinearMethod", "CutlassFP8ScaledMMLinearKernel"),
        _WIDE_HEAD,
    ),
    "modelopt-nvfp4-w4a16": _on_h100(
        _EMBEDDING,
        _blocks("ModelOptNvFp4W4A16LinearMethod", "MarlinNvFp4LinearKernel"),
        _WIDE_HEAD,
    ),
}

# vLLM 0.26.0 on an H200 (sm_90), FP8 quantized while loading.
LOG_9_0 = """\
INFO [core.py] Initializing a V1 LLM engine (v0.26.0) with config: \
model='/dev/shm/8b', dtype=torch.bfloat16, quantization=fp8, enforce_eager=False, \
device_config=cuda, \
compilation_config={'cudagraph_mode': <CUDAGraphMode.FULL_AND_PIECEWISE: (2, 1)>}
INFO [cuda.py] Using FLASH_ATTN attention backend out of potential backends: \
['FLASH_ATTN', 'FLASHINFER', 'TRITON_ATTN', 'FLEX_ATTENTION'].
INFO [flash_attn.py] Using FlashAttention version 3
INFO [__init__.py] Selected CutlassFP8ScaledMMLinearKernel for \
Fp8PerTensorOnlineLinearMethod
"""
# The same card with GPTQ.
LOG_9_0_GPTQ = """\
INFO [__init__.py] Using MacheteLinearKernel for mixed-precision linear
INFO [auto_gptq.py] Using MacheteLinearKernel for AutoGPTQLinearMethod
"""
# A DGX Spark (sm_121).
LOG_12_1 = """\
INFO [__init__.py] Selected CutlassFP8ScaledMMLinearKernel for \
ModelOptFp8LinearMethod
INFO [nvfp4_utils.py] Using NvFp4LinearBackend.VLLM_CUTLASS for NVFP4 GEMM
"""
# A mixture of experts on sm_121, and AWQ whose widths Marlin's tiles do not divide.
LOG_SLOW = """\
INFO [mxfp4.py] Using 'MARLIN' Mxfp4 MoE backend
WARNING [auto_awq.py] Layer 'model.layers.0.mlp.down_proj' is not supported by \
AutoAWQMarlin. Falling back to unoptimized AWQ kernels.
"""
