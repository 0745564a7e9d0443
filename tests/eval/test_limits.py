"""Each variant is held against what its own card does with what it multiplies."""

from pathlib import Path

import pytest

from deploy.plan_load import ClosedLoopLoad
from eval.limits import (
    RATES_NAME,
    cache_value_bytes,
    multiplied_as,
    plausible,
    read_rates,
    shape_in,
    with_distances,
    work_of_variant,
)
from eval.schema import VariantComparison
from loadtest.intervals import Estimate
from loadtest.summary import Answers
from quantize.artifact.manifest import Manifest
from quantize.source.model_shape import read_shape
from services.gpus.rates_job import DeviceRates
from services.variants import find_variant
from tests.eval.report.builders import comparison
from tests.eval.run_on_disk import manifest
from tests.eval.test_roofline import LLAMA_8B

SHAPE = read_shape(LLAMA_8B)
H200 = DeviceRates(
    name="NVIDIA H200",
    capability="9.0",
    torch="2.11.0",
    read_bytes_per_s=4.4e12,
    matrix_flop_per_s={"bf16": 760e12, "fp8": 1400e12, "int8": 1300e12},
)
B200 = H200.model_copy(update={"name": "NVIDIA B200", "capability": "10.0"})
LOAD = ClosedLoopLoad(concurrencies=(1, 4, 16), prompt_tokens=512, output_tokens=128)


def of_size(weight_bytes: int) -> Manifest:
    return manifest("bf16").model_copy(update={"weight_bytes": weight_bytes})


def measured(gpus: dict[str, str]) -> VariantComparison:
    return comparison().variants[0].model_copy(update={"gpus": gpus})


@pytest.mark.parametrize(
    ("variant", "rates", "kind"),
    [
        ("bf16-vllm", H200, "bf16"),
        ("fp8-vllm", H200, "fp8"),
        ("native-fp8-block-vllm", H200, "fp8"),
        ("int8-w8a8-vllm", H200, "int8"),
        ("gptq-int4-g128-vllm", H200, "bf16"),
        ("nvfp4-vllm", H200, "bf16"),
        ("nvfp4-vllm", B200, "fp4"),
        ("gguf-q4_k_m", H200, "int8"),
        ("gguf-bf16", H200, "bf16"),
    ],
)
def test_a_variant_is_multiplied_as_its_card_computes_its_format(
    variant: str, rates: DeviceRates, kind: str
) -> None:
    assert multiplied_as(find_variant(variant), rates) == kind


@pytest.mark.parametrize(
    ("variant", "size"),
    [
        ("bf16-vllm", 2),
        ("fp8-kv-vllm", 1),
        ("fp8-vllm-kv-fp8", 1),
        ("gguf-q8_0-kv-q8_0", 34 / 32),
        ("gguf-q8_0-kv-f32", 4),
    ],
)
def test_the_cache_is_as_large_as_recipe_or_option_say(variant: str, size: float) -> None:
    assert cache_value_bytes(find_variant(variant)) == size


def test_every_load_gets_its_distance_and_one_stream_that_of_its_prompt_too() -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    found = with_distances(measured({"GPU-a": "NVIDIA H200"}), variant, weights, SHAPE, H200, LOAD)
    one, _four, many = found.load
    assert one.distance is not None
    assert many.distance is not None
    assert one.distance.decode_tok_per_s == pytest.approx(1 / one.tpot_s["p50"].value)
    assert many.distance.decode_tok_per_s == pytest.approx(16 / many.tpot_s["p50"].value)
    work = work_of_variant(variant, weights, SHAPE)
    assert one.distance.bytes_per_token == work.step_bytes(1, 576)
    assert one.distance.decode_limit_tok_per_s == pytest.approx(4.4e12 / work.step_bytes(1, 576))
    assert one.distance.prefill_tok_per_s == pytest.approx(512 / one.ttft_s["p50"].value)
    assert one.distance.prefill_bound == "matrix"
    ttft, limit = one.ttft_s["p50"].value, one.distance.prefill_limit_tok_per_s
    assert limit is not None
    assert one.distance.prefill_share == pytest.approx(512 / ttft / limit)
    assert many.distance.prefill_share is None


def test_what_prompts_share_is_read_once_and_computed_never() -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    work, compared = work_of_variant(variant, weights, SHAPE), measured({"GPU-a": "NVIDIA H200"})
    for prefixes, contexts in ((1, 1000), (4, 4000), (99, 16_000)):
        load = LOAD.model_copy(update={"shared_prefix_tokens": 1000, "shared_prefixes": prefixes})
        one, _, many = with_distances(compared, variant, weights, SHAPE, H200, load).load
        assert one.distance is not None
        assert many.distance is not None
        read = work.step_bytes(16, 0) + (16 * 576 + contexts) * work.token_bytes
        assert many.distance.bytes_per_token == pytest.approx(read / 16)
        # Only what is the prompt's own is computed; with the prefix it would be three times this.
        assert one.distance.prefill_tok_per_s == pytest.approx(512 / one.ttft_s["p50"].value)
        assert one.distance.bytes_per_token == work.step_bytes(1, 1576)


def test_answers_of_natural_length_are_as_long_as_they_came() -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    compared = measured({"GPU-a": "NVIDIA H200"})
    came = Answers(tokens=Estimate(value=30.0), ended_share=1.0)
    levels = [level.model_copy(update={"answers": came}) for level in compared.load]
    natural = compared.model_copy(update={"load": levels})
    load = LOAD.model_copy(update={"natural_length": True})
    found = with_distances(natural, variant, weights, SHAPE, H200, load).load[0].distance
    assert found is not None
    assert found.bytes_per_token == work_of_variant(variant, weights, SHAPE).step_bytes(1, 527)


def test_two_cards_read_twice_as_fast() -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    names = {"GPU-a": "NVIDIA H200", "GPU-b": "NVIDIA H200"}
    one, two = (
        with_distances(measured(gpus), variant, weights, SHAPE, H200, LOAD).load[0].distance
        for gpus in ({"GPU-a": "NVIDIA H200"}, names)
    )
    assert one is not None
    assert two is not None
    assert two.decode_limit_tok_per_s == pytest.approx(2 * one.decode_limit_tok_per_s)
    assert two.decode_share == pytest.approx(one.decode_share / 2)


def test_what_the_card_cannot_multiply_has_no_limit_for_its_prompt() -> None:
    variant, weights = find_variant("nvfp4-vllm"), of_size(SHAPE.parameters // 2)
    compared = measured({"GPU-a": "NVIDIA B200"})
    distance = with_distances(compared, variant, weights, SHAPE, B200, LOAD).load[0].distance
    assert distance is not None
    assert (distance.multiplied_as, distance.prefill_share) == ("fp4", None)


def test_a_rate_of_eight_bits_below_that_of_sixteen_is_none(tmp_path: Path) -> None:
    slow = H200.model_copy(
        update={"matrix_flop_per_s": {"bf16": 767e12, "fp8": 1408e12, "int8": 131e12}}
    )
    (tmp_path / RATES_NAME).write_text(slow.model_dump_json())
    found = read_rates(tmp_path)
    assert found is not None
    assert found.matrix_flop_per_s == {"bf16": 767e12, "fp8": 1408e12}
    only = slow.model_copy(update={"matrix_flop_per_s": {"int8": 131e12}})
    assert plausible(only) == only


def test_an_int8_rate_far_below_fp8s_is_of_a_kernel_that_engines_exceed() -> None:
    told = {"bf16": 752e12, "fp8": 1414e12, "int8": 827e12}
    h100 = H200.model_copy(update={"matrix_flop_per_s": told})
    assert plausible(h100).matrix_flop_per_s == {"bf16": 752e12, "fp8": 1414e12}
    without_fp8 = {"bf16": 280e12, "int8": 430e12}  # as on an A100
    a100 = H200.model_copy(update={"matrix_flop_per_s": without_fp8})
    assert plausible(a100) == a100
    assert plausible(H200) == H200


@pytest.mark.parametrize("fall", [0.1, 10])
def test_a_limit_that_is_exceeded_is_not_told(fall: float) -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    compared = measured({"GPU-a": "NVIDIA H200"})
    told = with_distances(compared, variant, weights, SHAPE, H200, LOAD).load[0].distance
    assert told is not None
    assert told.prefill_share is not None
    slower = H200.model_copy(
        update={
            "read_bytes_per_s": H200.read_bytes_per_s * told.decode_share * fall,
            "matrix_flop_per_s": {"bf16": 760e12 * told.prefill_share * fall},
        }
    )
    found = with_distances(compared, variant, weights, SHAPE, slower, LOAD).load[0].distance
    assert (found is None) == (fall < 1)


def test_a_prompt_that_exceeds_its_limit_has_none() -> None:
    variant, weights = find_variant("bf16-vllm"), of_size(2 * SHAPE.parameters)
    compared = measured({"GPU-a": "NVIDIA H200"})
    told = with_distances(compared, variant, weights, SHAPE, H200, LOAD).load[0].distance
    assert told is not None
    assert told.prefill_share is not None
    rates = {"bf16": 760e12 * told.prefill_share * 0.9}
    slower = H200.model_copy(update={"matrix_flop_per_s": rates})
    found = with_distances(compared, variant, weights, SHAPE, slower, LOAD).load[0].distance
    assert found is not None
    assert found.prefill_share is None


@pytest.mark.parametrize("gpus", [{}, {"GPU-a": "NVIDIA L4"}])
def test_no_card_or_another_gives_no_distance(gpus: dict[str, str]) -> None:
    compared = measured(gpus)
    variant, weights = find_variant("bf16-vllm"), of_size(1)
    assert with_distances(compared, variant, weights, SHAPE, H200, LOAD) is compared


def test_rates_are_read_back_and_a_run_without_them_has_none(tmp_path: Path) -> None:
    assert read_rates(tmp_path) is None
    (tmp_path / RATES_NAME).write_text(H200.model_dump_json())
    assert read_rates(tmp_path) == H200
    assert shape_in(tmp_path) is None
