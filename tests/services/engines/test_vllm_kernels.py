"""Kernels that make a figure false are refused, those that make it true of one start are called.

covers: services/engines/vllm_kernel_table.py
"""

import pytest

from services.engines.kernels import AttentionKernel, Judgement, Kernels, LinearKernel
from services.engines.table import ENGINES
from services.engines.tuning import UNTUNED, Tuning
from services.engines.vllm_kernel_table import (
    ATTENTION,
    EXPECTED,
    KINDS,
    KNOWN_FAULTS,
    capability_row,
)
from services.engines.vllm_kernels import judge_kernels, way_of
from tests.services.engines.recorded_kernels import H100, HEAD, on_card

CARDS = tuple(ATTENTION)
MODELOPT = "ModelOptLinearMethod"
UNQUANTIZED = "UnquantizedLinearMethod"


def judged(kernels: Kernels, checkpoint: str, tuning: Tuning = UNTUNED) -> Judgement:
    return judge_kernels(kernels, checkpoint, tuning)


@pytest.mark.parametrize(
    ("capability", "checkpoint", "method", "kernel"),
    [
        ("9.0", "bf16", UNQUANTIZED, "default_unquantized_gemm"),
        ("9.0", "bf16", UNQUANTIZED, None),
        ("9.0", "modelopt-fp8-channel", "ModelOptFp8PcPtLinearMethod", "VLLM_CUTLASS"),
        ("12.1", "modelopt-nvfp4", "NVFP4", "VLLM_CUTLASS"),
        ("12.1", "modelopt-nvfp4", "NVFP4", "FLASHINFER_CUTLASS"),
        ("9.0", "modelopt-fp8", MODELOPT, "CutlassFP8ScaledMMLinearKernel"),
        ("9.0", "compressed-int8", "CompressedTensorsW8A8Int8", "CutlassInt8ScaledMMLinearKernel"),
        ("9.0", "gptq-int4-sym", "AutoGPTQLinearMethod", "MacheteLinearKernel"),
        ("9.0", "awq-int4", "AutoAWQMarlinLinearMethod", "MarlinLinearKernel"),
        ("9.0", "modelopt-nvfp4-w4a16", MODELOPT, "MarlinNvFp4LinearKernel"),
        ("10.0", "modelopt-nvfp4", MODELOPT, "FlashInferCutlassNvFp4LinearKernel"),
        ("10.0", "modelopt-nvfp4", MODELOPT, "FlashInferCuteDslNvFp4LinearKernel"),
        ("10.0", "modelopt-fp8", MODELOPT, "FlashInferFP8ScaledMMLinearKernel"),
        ("10.0", "compressed-mxfp4", "CompressedTensorsW4A4Mxfp4", "FlashInferMxFp4LinearKernel"),
        ("12.0", "modelopt-nvfp4", MODELOPT, "FlashInferB12xNvFp4LinearKernel"),
        ("12.1", "modelopt-nvfp4", MODELOPT, "FlashInferCutlassNvFp4LinearKernel"),
        ("12.1", "modelopt-fp8", MODELOPT, "CutlassFP8ScaledMMLinearKernel"),
        ("12.1", "gptq-int4-sym", "AutoGPTQLinearMethod", "MarlinLinearKernel"),
    ],
)
def test_the_kernels_that_one_would_deploy_need_no_words(
    capability: str, checkpoint: str, method: str, kernel: str | None
) -> None:
    assert judged(on_card(capability, method, kernel), checkpoint) == Judgement()


@pytest.mark.parametrize("checkpoint", H100)
def test_what_an_h100_ran_on_is_as_expected_there(checkpoint: str) -> None:
    assert judged(H100[checkpoint], checkpoint) == Judgement()


def test_the_same_under_another_recipe_is_refused_and_a_wide_head_hides_nothing() -> None:
    bare = H100["bf16"]
    with_head = bare.model_copy(update={"linear": (*bare.linear, *H100["modelopt-fp8"].linear[2:])})
    for kernels in (bare, with_head):
        refusal = judged(kernels, "modelopt-fp8").refusal
        assert refusal is not None
        assert "all 128 linear layers are UnquantizedLinearMethod" in refusal


@pytest.mark.parametrize("checkpoint", [name for name, kind in KINDS.items() if kind != "bf16"])
@pytest.mark.parametrize("capability", CARDS)
def test_a_quantized_checkpoint_that_is_served_unquantized_is_refused(
    capability: str, checkpoint: str
) -> None:
    attention = AttentionKernel(backend="FLASHINFER")
    kernels = on_card(capability, UNQUANTIZED, "default_unquantized_gemm", attention=attention)
    refusal = judged(kernels, checkpoint).refusal
    assert refusal is not None
    assert f"the {checkpoint} checkpoint unquantized: all 128 linear layers" in refusal
    assert "make quantize" in refusal


def test_where_the_plan_gave_the_engine_words_the_remedy_of_an_unquantized_one_names_them() -> None:
    tuning = Tuning(engine_args=("--hf-overrides", '{"quantization_config": null}'))
    kernels = on_card("9.0", UNQUANTIZED, None)
    refusal = judged(kernels, "gptq-int4-sym", tuning).refusal
    assert refusal is not None
    assert """take engine_args (--hf-overrides '{"quantization_config": null}') out""" in refusal


def test_an_awq_checkpoint_on_a_slow_kernel_is_called_with_the_remedy() -> None:
    (remark,) = judged(on_card("9.0", "AutoAWQLinearMethod", None), "awq-int4").remarks
    assert remark.startswith("AutoAWQLinearMethod is a slow kernel for its 128 linear layers")
    assert "compute capability 9.0 Machete or Marlin is expected" in remark
    assert "`linear_backend: machete`" in remark
    (remark,) = judged(
        on_card("12.0", "AutoAWQMarlinLinearMethod", "TritonW4A16LinearKernel"), "awq-int4"
    ).remarks
    assert "TritonW4A16LinearKernel is a slow kernel" in remark
    assert "`linear_backend: marlin`" in remark


@pytest.mark.parametrize(
    ("capability", "checkpoint", "kernel", "instead"),
    [
        ("10.0", "modelopt-nvfp4", "EmulationNvFp4LinearKernel", "FlashInferCuteDslNvFp4Linear"),
        ("12.1", "modelopt-nvfp4", "EmulationNvFp4LinearKernel", "FlashInferCutlass"),
        ("12.0", "compressed-mxfp4", "EmulationMxfp4LinearKernel", "FlashInferMxFp4"),
        ("9.0", "compressed-mxfp4", "EmulationMxfp4LinearKernel", "Marlin"),
        ("10.0", "modelopt-mxfp8", "EmulationMxfp8LinearKernel", "FlashInfer"),
        ("12.1", "modelopt-nvfp4", "EMULATION", "FlashInferCutlass"),
    ],
)
def test_a_format_that_is_emulated_where_there_is_a_kernel_is_refused_unless_it_was_asked_for(
    capability: str, checkpoint: str, kernel: str, instead: str
) -> None:
    kernels = on_card(capability, MODELOPT, kernel)
    refusal = judged(kernels, checkpoint).refusal
    assert refusal is not None
    assert f"{kernel} emulates its 128 linear layers" in refusal
    assert f"compute capability {capability} has {instead}" in refusal
    assert "set `linear_backend:" in refusal
    asked = judged(kernels, checkpoint, Tuning(linear_backend="emulation"))
    assert asked.refusal is None
    assert "the quality counts, the speed does not" in asked.remarks[0]


def test_weights_that_are_only_read_are_called_by_what_the_card_could_do() -> None:
    (hopper,) = judged(
        on_card("9.0", MODELOPT, "MarlinNvFp4LinearKernel"), "modelopt-nvfp4"
    ).remarks
    assert hopper.startswith("weight-only on compute capability 9.0: MarlinNvFp4LinearKernel")
    (spark,) = judged(
        on_card("12.1", MODELOPT, "FlashInferCuteDslNvFp4W4A16LinearKernel"), "modelopt-nvfp4"
    ).remarks
    assert "only reads the weights of modelopt-nvfp4" in spark
    assert "`linear_backend: flashinfer_cutlass`" in spark
    (marlin,) = judged(on_card("10.0", "NVFP4", "MARLIN"), "modelopt-nvfp4").remarks
    assert "though compute capability 10.0 has" in marlin
    (fp8,) = judged(
        on_card("9.0", MODELOPT, "MarlinFP8ScaledMMLinearKernel"), "modelopt-fp8"
    ).remarks
    assert "though compute capability 9.0 has Cutlass" in fp8


def test_a_kernel_that_is_known_for_wrong_answers_is_called() -> None:
    kernels = on_card("12.0", MODELOPT, "FlashInferCutlassNvFp4LinearKernel")
    (remark,) = judged(kernels, "modelopt-nvfp4").remarks
    assert "vllm#48898" in remark
    assert "`linear_backend: marlin`" in remark


def test_eager_mode_on_a_gpu_is_called_and_on_a_cpu_is_not() -> None:
    method, kernel = UNQUANTIZED, "default_unquantized_gemm"
    eager = on_card("9.0", method, kernel, eager=True)
    (remark,) = judged(eager, "bf16", Tuning(eager=True)).remarks
    assert "eager mode" in remark
    assert "take out `eager: true`" in remark
    (remark,) = judged(eager, "bf16").remarks
    assert "look for the reason in its log" in remark
    on_cpu = eager.model_copy(update={"device": "cpu", "capability": None, "linear": ()})
    assert judged(on_cpu, "bf16") == Judgement()
    without = on_card("9.0", method, kernel)
    for update in ({"graphs": "NONE"}, {"compiled": False}):
        assert len(judged(without.model_copy(update=update), "bf16").remarks) == 1


def test_an_attention_that_is_not_the_cards_own_is_called() -> None:
    kernel = "default_unquantized_gemm"
    old = AttentionKernel(backend="FLASH_ATTN", version=2)
    (remark,) = judged(on_card("9.0", UNQUANTIZED, kernel, attention=old), "bf16").remarks
    assert "attention runs on FLASH_ATTN 2" in remark
    assert "`attention_backend: FLASH_ATTN`" in remark
    triton = AttentionKernel(backend="TRITON_ATTN")
    (remark,) = judged(on_card("10.0", UNQUANTIZED, kernel, attention=triton), "bf16").remarks
    assert "FLASHINFER or FLASH_ATTN 4 is expected" in remark


def test_a_kernel_that_no_table_knows_is_called() -> None:
    (remark,) = judged(on_card("9.0", "AutoGPTQLinearMethod", "NewKernel"), "gptq-int4-sym").remarks
    assert "NewKernel stands in no table" in remark


def test_layers_that_stay_at_sixteen_bits_are_counted_where_the_others_are_quantized() -> None:
    kernels = on_card("9.0", "AutoGPTQLinearMethod", "MacheteLinearKernel")
    kept = LinearKernel(method=UNQUANTIZED, kernel="x", layers=1, names=("gate",))
    mixed = kernels.model_copy(update={"linear": (*kernels.linear, kept)})
    assert judged(mixed, "gptq-int4-sym").remarks == ("1 linear layer stays at 16 bits (gate)",)
    assert judged(mixed, "modelopt-mixed").remarks == ()


def test_the_heads_kernel_refuses_nobody() -> None:
    kernels = on_card("9.0", "AutoGPTQLinearMethod", "MacheteLinearKernel")
    only_head = kernels.model_copy(update={"linear": (HEAD,)})
    assert judged(only_head, "gptq-int4-sym") == Judgement()


def test_every_format_that_vllm_loads_has_a_kind_and_every_kind_a_row_on_every_card() -> None:
    assert set(KINDS) == set(ENGINES["vllm"].checkpoints)
    kinds = set(KINDS.values()) - {"mixed"}
    assert {kind for kind, _row in EXPECTED} == kinds
    for kind in kinds:
        assert [row for row in CARDS if (kind, row) not in EXPECTED] == []


def test_a_row_is_native_exactly_where_the_table_of_formats_says_so() -> None:
    rows = {"ampere": "8.0", "ada": "8.9", "hopper": "9.0", "blackwell": "10.0"}
    for name, kind in KINDS.items():
        devices = ENGINES["vllm"].checkpoints[name]
        for device, row in rows.items():
            if kind != "mixed" and device in devices:
                native = bool(EXPECTED[kind, row].native)
                assert native == (devices[device] == "native"), (name, device)  # type: ignore[index]


def test_no_kernel_of_a_row_counts_as_slow_or_emulated() -> None:
    for (kind, _row), expected in EXPECTED.items():
        ways = {way_of(LinearKernel(method="m", kernel=name), expected) for name in expected.best}
        assert ways <= {"native", "weight-only"}, kind


def test_known_faults_name_kernels_that_are_taken_there() -> None:
    for fault in KNOWN_FAULTS:
        native = EXPECTED[fault.kind, fault.capability].native
        assert set(fault.kernels) <= set(native)


@pytest.mark.parametrize(
    ("capability", "row"),
    [
        (None, "cpu"),
        ("8.6", "8.0"),
        ("8.9", "8.9"),
        ("9.0", "9.0"),
        ("10.3", "10.0"),
        ("11.0", "10.0"),
        ("12.1", "12.1"),
        ("7.5", None),
        ("13.0", None),
    ],
)
def test_a_capability_reads_the_row_of_its_generation(
    capability: str | None, row: str | None
) -> None:
    assert capability_row(capability) == row
