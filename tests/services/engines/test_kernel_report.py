"""The worker's report reads each layer's method and kernel wherever a version of vLLM keeps them.

covers: services/engines/in_vllm/kernel_report.py
"""

from enum import Enum, IntEnum
from functools import partial
from types import SimpleNamespace
from typing import Any

from services.engines.in_vllm.kernel_report import kernel_report


class MarlinLinearKernel:
    """Stands for a kernel's class."""


class AutoGPTQLinearMethod:
    """Keeps its kernel as ``kernel``."""

    kernel = MarlinLinearKernel()


class Fp8LinearMethod:
    """Keeps its kernel under another name."""

    fp8_linear = MarlinLinearKernel()


class UnquantizedLinearMethod:
    """Has a function and no kernel."""


class CompressedTensorsLinearMethod:
    """Leaves everything to the layer's scheme."""


class CompressedTensorsW8A8Fp8:
    """A scheme."""

    fp8_linear = MarlinLinearKernel()


class MarlinExperts:
    """The experts inside a mixture's kernel."""


class GraphMode(Enum):
    """As ``vllm.config.CUDAGraphMode``."""

    NONE = 0
    FULL_AND_PIECEWISE = (2, 1)


class CompileMode(IntEnum):
    """As ``vllm.config.CompilationMode``."""

    NONE = 0
    VLLM_COMPILE = 3


def gemm(*_operands: Any) -> None:
    """Stands for a function that multiplies."""


ops = SimpleNamespace(onednn_mm=gemm)


def worker(
    *modules: tuple[str, Any],
    graphs: GraphMode = GraphMode.NONE,
    mode: CompileMode = CompileMode.NONE,
) -> Any:
    config = SimpleNamespace(
        compilation_config=SimpleNamespace(cudagraph_mode=graphs, mode=mode),
        model_config=SimpleNamespace(enforce_eager=mode is CompileMode.NONE),
    )
    model = SimpleNamespace(named_modules=lambda: list(modules))
    return SimpleNamespace(
        model_runner=SimpleNamespace(model=model),
        device=SimpleNamespace(type="cpu"),
        vllm_config=config,
    )


def layer(**fields: Any) -> Any:
    return SimpleNamespace(**fields)


def kernels(*modules: tuple[str, Any]) -> list[tuple[str, str | None, int, list[str]]]:
    found = kernel_report(worker(*modules))["linear"]
    return [(item["method"], item["kernel"], item["layers"], item["names"]) for item in found]


def test_layers_of_one_method_and_kernel_are_one_entry() -> None:
    method = AutoGPTQLinearMethod()
    assert kernels(
        ("model.layers.0.qkv_proj", layer(quant_method=method)),
        ("model.layers.1.qkv_proj", layer(quant_method=method)),
        ("model.layers.1.o_proj", layer(quant_method=method)),
        ("model.norm", layer()),
    ) == [("AutoGPTQLinearMethod", "MarlinLinearKernel", 3, ["o_proj", "qkv_proj"])]


def test_a_kernel_is_found_under_every_name_and_in_a_scheme() -> None:
    scheme = layer(quant_method=CompressedTensorsLinearMethod(), scheme=CompressedTensorsW8A8Fp8())
    found = kernels(("a.fc", layer(quant_method=Fp8LinearMethod())), ("b.fc", scheme))
    assert [(method, kernel) for method, kernel, *_ in found] == [
        ("Fp8LinearMethod", "MarlinLinearKernel"),
        ("CompressedTensorsW8A8Fp8", "MarlinLinearKernel"),
    ]


def test_an_unquantized_layers_function_is_named_and_a_lambda_by_what_it_calls() -> None:
    method = UnquantizedLinearMethod()
    on_gpu = UnquantizedLinearMethod()
    on_gpu._gemm_impl = partial(gemm, 1)  # type: ignore[attr-defined]
    found = kernels(
        ("a.fc", layer(quant_method=method, cpu_linear=lambda x: ops.onednn_mm(x))),
        ("b.fc", layer(quant_method=on_gpu)),
        ("embed", layer(quant_method=method)),
    )
    assert [kernel for _method, kernel, *_ in found] == ["ops.onednn_mm", "gemm", None]


def test_of_a_mixtures_kernel_the_experts_are_named() -> None:
    method = UnquantizedLinearMethod()
    method.moe_kernel = layer(impl=layer(fused_experts=MarlinExperts()))  # type: ignore[attr-defined]
    ((_method, kernel, *_),) = kernels(("mlp.experts", layer(quant_method=method)))
    assert kernel == "MarlinExperts"


def test_attention_layers_are_counted_by_backend_and_version() -> None:
    backend = SimpleNamespace(get_name=lambda: "FLASH_ATTN")
    attention = layer(
        impl=SimpleNamespace(vllm_flash_attn_version=3),
        attn_backend=backend,
        quant_method=UnquantizedLinearMethod(),
    )
    report = kernel_report(worker(("0.attn", attention), ("1.attn", attention)))
    assert report["attention"] == [{"backend": "FLASH_ATTN", "version": 3, "layers": 2}]
    assert report["linear"] == []


def test_eager_is_neither_graphs_nor_compilation() -> None:
    eager = kernel_report(worker())
    assert (eager["graphs"], eager["compiled"], eager["eager"]) == ("NONE", False, True)
    served = kernel_report(
        worker(graphs=GraphMode.FULL_AND_PIECEWISE, mode=CompileMode.VLLM_COMPILE)
    )
    assert (served["graphs"], served["compiled"], served["eager"]) == (
        "FULL_AND_PIECEWISE",
        True,
        False,
    )
    assert (served["device"], served["capability"]) == ("cpu", None)
