"""The kernels that vLLM names in its log: what it told nobody else, and a second source. Pure.

Lines as vLLM 0.19 to 0.33 write them (``model_executor/kernels/linear/__init__.py``,
``layers/quantization``, ``platforms/cuda.py``, ``v1/attention/backends/flash_attn.py``).
"""

import re
from collections.abc import Iterator

from services.engines.kernels import AttentionKernel, Kernels, LinearKernel

_NAMED = re.compile(r"(?:Selected|Using) (\w*Kernel) for (\w+)|Using ([\w.]+) for (\w+) GEMM")
_MIXED = re.compile(r"Using (\w+) for mixed-precision linear")
_MOE = re.compile(r"Using '([\w.]+)' (\w+) MoE backend")
_FALLEN_BACK = re.compile(r"Falling back to unoptimized AWQ kernels")
_ATTENTION = re.compile(r"Using (?:AttentionBackendEnum\.)?(\w+) attention backend")
_VERSION = re.compile(r"Using FlashAttention version (\d+)")
_EAGER = re.compile(r"enforce_eager=(True|False)")
_GRAPHS = re.compile(r"CUDAGraphMode\.(\w+)")
_ON_CPU = re.compile(r"device_config=cpu|CPU_ATTN|CPUWNA16")


def kernels_in_log(text: str) -> Kernels | None:
    """What the log of a start names; None where it names no kernel at all."""
    linear, attention = tuple(_linear(text)), _attention(text)
    if not linear and not attention:
        return None
    eager, graphs = _EAGER.search(text), _GRAPHS.search(text)
    return Kernels(
        device="cpu" if _ON_CPU.search(text) else "gpu",
        linear=linear,
        attention=attention,
        graphs=graphs[1] if graphs else None,
        eager=eager[1] == "True" if eager else None,
        source="log",
    )


def _linear(text: str) -> Iterator[LinearKernel]:
    """Each pair of a method and a kernel once, in the log's order."""
    found = dict.fromkeys(
        (method or other_method, kernel or other)
        for kernel, method, other, other_method in _NAMED.findall(text)
    )
    found |= dict.fromkeys(("mixed-precision", kernel) for kernel in _MIXED.findall(text))
    found |= dict.fromkeys((f"{kind}MoE", kernel) for kernel, kind in _MOE.findall(text))
    for method, kernel in found:
        if method != "mixed":
            yield LinearKernel(method=method, kernel=kernel.rpartition(".")[2])
    if _FALLEN_BACK.search(text):
        yield LinearKernel(method="AutoAWQLinearMethod")


def _attention(text: str) -> tuple[AttentionKernel, ...]:
    version = _VERSION.search(text)
    return tuple(
        AttentionKernel(
            backend=backend, version=int(version[1]) if version and "FLASH" in backend else None
        )
        for backend in dict.fromkeys(_ATTENTION.findall(text))
    )
