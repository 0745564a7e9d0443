"""Which kernels a loaded model computes on, read from vLLM's own objects in its worker.

Attribute names as in vLLM 0.25 to 0.33: a linear layer has a ``quant_method``, with the kernel that
was chosen for it under one of several names (compressed-tensors keeps both in the layer's
``scheme``); an attention layer has an ``impl`` and the ``attn_backend`` it came from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

_KERNELS = (
    *("kernel", "fp8_linear", "w8a8_block_fp8_linear", "linear_kernel", "ocp_mx_linear"),
    *("moe_kernel",),
)
# Where a layer without a quantized weight keeps the function that multiplies: on a CPU in itself.
_FUNCTIONS = ("cpu_linear", "_gemm_impl")


def kernel_report(worker: Any) -> dict[str, Any]:
    """The fields of ``services.engines.kernels.Kernels``, as JSON has them."""
    modules = list(worker.model_runner.model.named_modules())
    on_gpu = getattr(getattr(worker, "device", None), "type", "cpu") == "cuda"
    return {
        "device": "gpu" if on_gpu else "cpu",
        "capability": _capability(worker.device) if on_gpu else None,
        "linear": _linear(modules),
        "attention": _attention(modules),
        **_mode(getattr(worker, "vllm_config", None)),
    }


def _linear(modules: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each pair of a method and a kernel."""
    found: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for name, module in modules:
        method = getattr(module, "quant_method", None)
        if method is not None and not hasattr(module, "impl"):
            scheme = getattr(module, "scheme", None)
            key = type(scheme or method).__name__, _kernel(module, method, scheme)
            found[key].append(name.rpartition(".")[2])
    return [
        {"method": method, "kernel": kernel, "layers": len(names), "names": sorted(set(names))}
        for (method, kernel), names in found.items()
    ]


def _kernel(module: Any, method: Any, scheme: Any) -> str | None:
    """The class that multiplies, or the function where there is no class."""
    for holder in (scheme, method):
        for name in _KERNELS:
            kernel = getattr(holder, name, None)
            if kernel is not None:
                return _class_of(kernel)
    for holder, name in zip((module, method), _FUNCTIONS, strict=True):
        function = getattr(holder, name, None)
        if function is not None:
            return _function_name(function)
    return None


def _class_of(kernel: Any) -> str:
    """Of a mixture's kernel the experts', which it only wraps."""
    experts = getattr(getattr(kernel, "impl", None), "fused_experts", None)
    return type(kernel if experts is None else experts).__name__


def _function_name(function: Callable[..., Any]) -> str:
    """Of a lambda, what it calls."""
    inner = getattr(function, "func", function)
    code = getattr(inner, "__code__", None)
    if code is not None and code.co_name == "<lambda>":
        return ".".join(code.co_names)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _attention(modules: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, int | None], int] = defaultdict(int)
    for key in _attention_layers(modules):
        found[key] += 1
    return [
        {"backend": backend, "version": version, "layers": layers}
        for (backend, version), layers in found.items()
    ]


def _attention_layers(modules: list[tuple[str, Any]]) -> Iterator[tuple[str, int | None]]:
    for _name, module in modules:
        impl, backend = getattr(module, "impl", None), getattr(module, "attn_backend", None)
        if impl is not None and backend is not None:
            yield str(backend.get_name()), getattr(impl, "vllm_flash_attn_version", None)


def _mode(config: Any) -> dict[str, Any]:
    """CUDA graphs and compilation, as they are after vLLM has adjusted them to the model."""
    compilation = getattr(config, "compilation_config", None)
    graphs = getattr(getattr(compilation, "cudagraph_mode", None), "name", None)
    mode = getattr(compilation, "mode", None)
    compiled = None if mode is None else bool(int(mode))
    asked = getattr(getattr(config, "model_config", None), "enforce_eager", None)
    off = graphs == "NONE" and compiled is False
    return {"graphs": graphs, "compiled": compiled, "eager": off or asked}


def _capability(device: Any) -> str:
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return f"{major}.{minor}"
