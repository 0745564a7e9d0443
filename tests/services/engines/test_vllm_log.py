"""What vLLM names in its log is found there, and nothing else is taken for a kernel."""

from services.engines.kernels import AttentionKernel, Kernels, LinearKernel
from services.engines.vllm_log import kernels_in_log
from tests.services.engines.recorded_kernels import LOG_9_0, LOG_9_0_GPTQ, LOG_12_1, LOG_SLOW


def test_a_log_from_hopper_names_kernel_attention_and_mode() -> None:
    assert kernels_in_log(LOG_9_0) == Kernels(
        device="gpu",
        linear=(
            LinearKernel(
                method="Fp8PerTensorOnlineLinearMethod", kernel="CutlassFP8ScaledMMLinearKernel"
            ),
        ),
        attention=(AttentionKernel(backend="FLASH_ATTN", version=3),),
        graphs="FULL_AND_PIECEWISE",
        eager=False,
        source="log",
    )


def names(text: str) -> list[tuple[str, str | None]]:
    found = kernels_in_log(text)
    assert found is not None
    return [(item.method, item.kernel) for item in found.linear]


def test_mixed_precision_and_its_method_are_both_named() -> None:
    assert names(LOG_9_0_GPTQ) == [
        ("AutoGPTQLinearMethod", "MacheteLinearKernel"),
        ("mixed-precision", "MacheteLinearKernel"),
    ]


def test_an_older_logs_backends_are_read() -> None:
    assert names(LOG_12_1) == [
        ("ModelOptFp8LinearMethod", "CutlassFP8ScaledMMLinearKernel"),
        ("NVFP4", "VLLM_CUTLASS"),
    ]


def test_a_mixtures_backend_and_a_fall_back_are_read() -> None:
    assert names(LOG_SLOW) == [("Mxfp4MoE", "MARLIN"), ("AutoAWQLinearMethod", None)]


def test_a_log_without_kernels_tells_none() -> None:
    assert kernels_in_log("INFO Using uvloop for the event loop\nINFO Started server") is None
