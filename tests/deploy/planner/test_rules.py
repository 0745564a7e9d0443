"""The plan that is chosen fits the machine and the model, and says what it left out and why.

covers: deploy/planner/candidates.py
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.plan import make_plan
from deploy.plan_model import GENERAL_TASKS
from deploy.planner.candidates import CANDIDATES
from deploy.planner.rules import ChosenPlan, NoPlanError, Situation, choose_plan
from quantize.formats.engine_support import DEVICES
from quantize.machine import CPU_NAME, Machine, parse_gpus
from quantize.sizing.capacity import GIB
from quantize.source.model_shape import outline
from quantize.source.published import Published
from services.variants import find_variant
from tests.deploy.setup.machines import QUERIES
from tests.quantize.published import GPT_OSS
from tests.quantize.source.test_model_shape import LLAMA_8B, MISTRAL_7B

SMOL: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
LLAMA_70B = {
    **LLAMA_8B,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
}


def on_gpu(query: str, config: Mapping[str, Any] = LLAMA_8B, **changes: Any) -> Situation:
    """A machine of which nvidia-smi tells this, with vLLM and llama.cpp built for its GPU."""
    gpu = parse_gpus(QUERIES[query])[0]
    memory = gpu.memory_bytes or 128 * 10**9
    machine = Machine(device=gpu.device, name=gpu.name, memory_bytes=gpu.memory_bytes)
    engines = dict.fromkeys(("vllm", "llamacpp", "transformers"), gpu.device)
    found = Situation(
        machine=machine,
        devices=engines,
        memory_bytes=memory,
        config=config,
        shape=outline(config),
    )
    return replace(found, **changes)


def on_cpu(config: Mapping[str, Any] = SMOL, memory_gib: float = 24) -> Situation:
    machine = Machine(device="cpu", name=CPU_NAME)
    engines = dict.fromkeys(("vllm", "llamacpp", "transformers"), machine.device)
    return Situation(
        machine=machine,
        devices=engines,
        memory_bytes=int(memory_gib * GIB),
        config=config,
        shape=outline(config),
    )


GPT_OSS_20B: Mapping[str, Any] = {
    **GPT_OSS,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "num_local_experts": 32,
    "num_hidden_layers": 24,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
}


def published(form: str, weight_bytes: float = 13.8e9, parameters: float = 20.9e9) -> Published:
    """A checkpoint of this size; as published, GPT-OSS-20B has 13.8 GB."""
    return Published(
        name="own",
        path=Path("own.gguf" if form.startswith("gguf") else "own"),
        form=form,
        weight_bytes=int(weight_bytes),
        parameters=int(parameters),
        bits_per_weight=4.25,
    )


def quantized(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**config, "quantization_config": {"quant_method": "any"}}


def test_a_published_checkpoint_is_compared_with_itself_on_every_engine() -> None:
    here = on_cpu(quantized(SMOL))
    chosen = choose_plan(replace(here, published=published("awq-int4", 1e8, 135e6)))
    assert variants_of(chosen) == ["native-awq-int4-vllm", "native-awq-int4-transformers"]
    assert chosen.content["explore"] is False
    assert chosen.size_bytes == 0


def test_beside_the_weights_that_are_named_it_is_all_there_is_to_compare() -> None:
    here = replace(on_gpu("h100"), published=published("modelopt-fp8", 9e9), baseline="/models/8b")
    chosen = choose_plan(here)
    assert variants_of(chosen) == ["bf16-vllm", "native-modelopt-fp8-vllm"]
    assert chosen.content["source"] == "/models/8b"


def test_a_format_that_the_processor_lacks_is_emulated_beside_its_baseline() -> None:
    own = published("compressed-nvfp4", 1e8, 135e6)
    chosen = choose_plan(replace(on_cpu(), published=own, baseline="/models/smol"))
    assert variants_of(chosen) == ["bf16-vllm", "native-compressed-nvfp4-transformers"]


def test_a_gguf_file_is_compared_with_what_it_decodes_to_and_all_made_of_that() -> None:
    chosen = choose_plan(replace(on_cpu(), published=published("gguf-mostly-q4_1", 1e8)))
    assert variants_of(chosen)[:2] == ["bf16-vllm", "native-gguf-mostly-q4_1"]
    assert "gguf-q8_0" in chosen.taken


@pytest.mark.parametrize("query", ["h100", "b200", "rtx-5090", "dgx-spark"])
def test_gpt_oss_is_served_on_a_gpu(query: str) -> None:
    here = on_gpu(query, GPT_OSS_20B)
    chosen = choose_plan(replace(here, published=published("gpt-oss-mxfp4")))
    assert variants_of(chosen) == ["native-gpt-oss-mxfp4-vllm"]


def test_gpt_oss_on_a_cpu_or_a_small_card_is_refused_by_name() -> None:
    machine = Machine(device="cpu", name=CPU_NAME)
    here = Situation(
        machine=machine,
        devices={"vllm": "cpu", "transformers": "cpu"},
        memory_bytes=64 * GIB,
        config=GPT_OSS_20B,
        shape=outline(GPT_OSS_20B),
        published=published("gpt-oss-mxfp4"),
    )
    with pytest.raises(NoPlanError, match=r"native-gpt-oss-mxfp4-vllm needs an NVIDIA GPU"):
        choose_plan(here)
    small = on_gpu("rtx-5090", GPT_OSS_20B, memory_bytes=12 * GIB)
    with pytest.raises(NoPlanError, match=r"needs 1\d\.\d GiB, NVIDIA GeForce RTX 5090 has 11"):
        choose_plan(replace(small, published=published("gpt-oss-mxfp4")))


def variants_of(chosen: ChosenPlan) -> list[str]:
    return list(chosen.content["variants"])


def test_every_candidate_runs_on_the_device_that_it_is_a_candidate_for() -> None:
    assert set(CANDIDATES) == set(DEVICES)
    for device, candidates in CANDIDATES.items():
        for name in (name for candidate in candidates for name in candidate.variants):
            assert find_variant(name).arithmetic_on(device), (device, name)


@pytest.mark.parametrize("query", ["h100", "b200", "rtx-5090", "dgx-spark", "l40s-cuda-12"])
def test_what_is_chosen_is_a_plan_that_names_its_baseline_first(query: str) -> None:
    chosen = choose_plan(on_gpu(query))
    plan = make_plan({"model": "m", **chosen.content}, Path("chosen"))
    assert plan.baseline == plan.variants[0]
    assert set(chosen.taken) == set(plan.variants)
    assert choose_plan(on_gpu(query)) == chosen


def test_hopper_compares_eight_bits_and_four_bit_weights() -> None:
    chosen = variants_of(choose_plan(on_gpu("h100")))
    assert chosen == [
        "bf16-vllm",
        "fp8-vllm",
        "fp8-per-channel-vllm",
        "int8-w8a8-vllm",
        "gptq-int4-g128-vllm",
        "awq-int4-g128-vllm",
        "nvfp4-w4a16-vllm",
        "mxfp4-vllm",
        "fp8-kv-vllm",
        "gguf-q8_0",
        "gguf-q4_k_m",
    ]


@pytest.mark.parametrize("query", ["b200", "rtx-5090", "dgx-spark"])
def test_blackwell_tries_nvfp4_first_after_the_baseline(query: str) -> None:
    assert variants_of(choose_plan(on_gpu(query)))[:2] == ["bf16-vllm", "nvfp4-vllm"]


def test_what_does_not_fit_the_card_is_left_out_and_the_next_is_the_baseline() -> None:
    chosen = choose_plan(on_gpu("h100", LLAMA_70B))
    assert "bf16-vllm" in chosen.left_out
    assert "NVIDIA H100 80GB HBM3 has 73.3 GiB" in chosen.left_out["bf16-vllm"]
    assert chosen.content["baseline"] == "gptq-int4-g128-vllm"
    assert "fp8-vllm" not in chosen.taken


def test_a_model_too_large_for_every_format_is_refused_with_the_reasons() -> None:
    with pytest.raises(NoPlanError, match=r"nothing .* GeForce RTX 5090 .*gguf-q4_k_m: needs"):
        choose_plan(on_gpu("rtx-5090", LLAMA_70B))


def test_a_group_that_divides_no_row_gives_way_to_a_finer_one_and_says_so() -> None:
    chosen = choose_plan(on_cpu())
    assert "gptq-int4-g64-vllm" in chosen.taken
    assert "gptq-int4-g128-vllm: " in chosen.taken["gptq-int4-g64-vllm"]
    assert "576" in chosen.taken["gptq-int4-g64-vllm"]


def test_a_cpu_takes_as_many_as_its_memory_holds_at_once() -> None:
    roomy, narrow = choose_plan(on_cpu()), choose_plan(on_cpu(memory_gib=16))
    assert len(narrow.taken) < len(roomy.taken)
    assert "beside the others'" in " ".join(narrow.left_out.values())
    assert narrow.content["baseline"] == "bf16-vllm"


def test_a_small_model_gets_all_its_candidates_on_a_machine_of_24_gib() -> None:
    chosen = choose_plan(on_cpu(memory_gib=23.5))
    assert len(chosen.taken) == len(CANDIDATES["cpu"])
    assert not chosen.left_out


def test_a_cpu_counts_the_cache_that_each_engine_is_given_and_emulated_weights_in_float32() -> None:
    chosen = choose_plan(on_cpu(LLAMA_8B, memory_gib=80))
    # 8 billion values in float32 are 30 GiB, where the FP8 file has 8.
    asked = chosen.left_out["fp8-transformers"]
    assert float(asked.split()[1]) > 30 + chosen.content["serving"]["kv_cache_gib"]


def test_a_sliding_window_leaves_out_the_engine_that_has_none() -> None:
    short = {**MISTRAL_7B, "sliding_window": 1024}
    chosen = choose_plan(on_gpu("h100", short))
    assert "sliding window of" in chosen.left_out["gguf-q8_0"]
    assert "bf16-vllm" in chosen.taken


def test_an_engine_that_is_not_installed_is_named() -> None:
    chosen = choose_plan(on_gpu("h100", devices={"vllm": "hopper"}))
    assert chosen.left_out["gguf-q8_0"] == "llama.cpp is not installed"


def test_a_gpu_gives_its_memory_to_one_engine_and_a_cpu_a_cache_to_each() -> None:
    assert choose_plan(on_gpu("h100")).content["serving"]["kv_cache_gib"] is None
    assert choose_plan(on_gpu("h100")).content["serving"]["memory_share"] == 0.9
    assert choose_plan(on_cpu()).content["serving"]["kv_cache_gib"] >= 0.5


def test_a_cpu_calibrates_with_less_than_a_gpu() -> None:
    cpu = make_plan({"model": "m", **choose_plan(on_cpu()).content}, Path("chosen"))
    gpu = make_plan({"model": "m", **choose_plan(on_gpu("h100")).content}, Path("chosen"))
    assert (cpu.calibration.samples, gpu.calibration.samples) == (16, 64)
    assert cpu.calibration.text == gpu.calibration.text == "general"


def test_a_cpu_is_asked_fewer_tasks_and_items() -> None:
    cpu, gpu = (
        make_plan({"model": "m", **choose_plan(it).content}, Path("chosen"))
        for it in (on_cpu(), on_gpu("h100"))
    )
    assert set(cpu.quality.tasks) < set(gpu.quality.tasks) == set(GENERAL_TASKS)
    assert (cpu.quality.limit, gpu.quality.limit) == (200, None)


def test_a_short_model_gets_prompts_and_answers_that_it_can_hold() -> None:
    short = {**SMOL, "max_position_embeddings": 256}
    plan = make_plan({"model": "m", **choose_plan(on_gpu("h100", short)).content}, Path("chosen"))
    assert plan.load.longest_request <= 256


def test_what_was_chosen_is_told_with_size_and_time() -> None:
    told = "\n".join(choose_plan(on_gpu("h100", LLAMA_70B)).lines())
    assert "plan 'hopper', chosen for this machine" in told
    assert "left out: needs" in told
    assert "GB, in about" in told


def test_of_engines_that_load_a_checkpoint_only_those_that_know_its_architecture_are_taken() -> (
    None
):
    foreign = {**SMOL, "architectures": ["FooForCausalLM"]}
    published = Published(
        name="foo", path=Path("foo"), form="bf16", weight_bytes=1, parameters=1, bits_per_weight=16
    )
    situation = on_gpu("h100", foreign, published=published)
    assert "native-bf16-vllm" in choose_plan(situation).taken
    refused = replace(situation, refusals={"vllm": "vLLM does not serve FooForCausalLM"})
    chosen = choose_plan(refused)
    assert list(chosen.taken) == ["native-bf16-transformers"]
    assert chosen.left_out["native-bf16-vllm"] == "vLLM does not serve FooForCausalLM"
    refused = replace(refused, refusals={**refused.refusals, "transformers": "nor does this"})
    with pytest.raises(NoPlanError, match=r"native-bf16-vllm: vLLM does not serve FooForCausalLM"):
        choose_plan(refused)
