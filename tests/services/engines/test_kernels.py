"""A record of kernels reads as one line, and a log fills in only what the engine left open."""

from services.engines.kernels import AttentionKernel, Kernels, LinearKernel, completed
from tests.services.engines.recorded_kernels import on_card


def test_a_record_is_one_line_with_what_computes_most_layers_first() -> None:
    kernels = on_card("9.0", "AutoGPTQLinearMethod", "MacheteLinearKernel")
    assert kernels.phrase == (
        "MacheteLinearKernel, UnquantizedEmbeddingMethod; attention FLASH_ATTN 3; "
        "full_and_piecewise CUDA graphs, compiled"
    )
    eager = on_card("9.0", "UnquantizedLinearMethod", "default_unquantized_gemm", eager=True)
    assert eager.mode_phrase == "eager"
    assert Kernels(device="cpu", eager=True).phrase == "unknown; attention unknown"


def test_a_log_fills_in_what_the_engine_does_not_tell() -> None:
    told = Kernels(
        device="gpu",
        linear=(LinearKernel(method="A", layers=3), LinearKernel(method="B", kernel="Own")),
        attention=(AttentionKernel(backend="FLASH_ATTN", layers=3),),
    )
    logged = Kernels(
        device="gpu",
        linear=(LinearKernel(method="A", kernel="Told"), LinearKernel(method="B", kernel="Other")),
        attention=(AttentionKernel(backend="FLASH_ATTN", version=3),),
        eager=False,
        source="log",
    )
    found = completed(told, logged)
    assert found is not None
    assert [item.kernel for item in found.linear] == ["Told", "Own"]
    assert found.attention == (AttentionKernel(backend="FLASH_ATTN", version=3, layers=3),)
    assert (found.eager, found.source) == (False, "engine")


def test_the_only_kernel_of_a_log_is_that_of_all_quantized_layers_without_one() -> None:
    """vLLM's log calls a scheme MXFP4 where the layer's class is named otherwise."""
    told = Kernels(
        device="gpu",
        linear=(
            LinearKernel(method="CompressedTensorsW4A4Mxfp4"),
            LinearKernel(method="UnquantizedEmbeddingMethod"),
        ),
    )
    line = LinearKernel(method="MXFP4", kernel="MarlinMxFp4LinearKernel")
    logged = Kernels(device="gpu", linear=(line,), source="log")
    found = completed(told, logged)
    assert found is not None
    assert [item.kernel for item in found.linear] == ["MarlinMxFp4LinearKernel", None]
    other = LinearKernel(method="NVFP4", kernel="Another")
    both = completed(told, logged.model_copy(update={"linear": (line, other)}))
    assert both is not None
    assert both.linear[0].kernel is None


def test_one_source_alone_is_taken_as_it_is() -> None:
    one = Kernels(device="cpu")
    assert completed(one, None) is one
    assert completed(None, one) is one
    assert completed(None, None) is None
