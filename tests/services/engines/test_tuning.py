"""A plan's options reach the engines that have them, and are refused by name where none has them.

covers: services/engines/tuning.py, services/engines/vllm_engine.py
"""

from dataclasses import replace
from typing import Any

import pytest

from services.engines.spec import Launch
from services.engines.table import ENGINES
from services.engines.tuning import Tuning, refused_option
from tests.services.test_variants import launch

VLLM = ENGINES["vllm"]


def options(argv: list[str]) -> dict[str, str]:
    """The flags of a command line with the word after each."""
    return {word: after for word, after in zip(argv, [*argv[1:], ""], strict=True) if "--" in word}


def on_a_gpu(**tuning: Any) -> Launch:
    return replace(launch(), device="hopper", kv_cache_gib=None, tuning=Tuning(**tuning))


def test_vllm_runs_with_graphs_on_a_gpu_and_without_on_a_cpu() -> None:
    assert "--enforce-eager" not in VLLM.argv(on_a_gpu())
    assert "--enforce-eager" in VLLM.argv(on_a_gpu(eager=True))
    assert "--enforce-eager" in VLLM.argv(launch())


def test_vllm_neither_compiles_a_sampler_nor_looks_anything_up() -> None:
    variables = VLLM.env(on_a_gpu())
    assert variables["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert variables["HF_HUB_OFFLINE"] == "1"


def test_vllm_is_served_by_its_command_where_its_distribution_is_known_to_it() -> None:
    assert VLLM.argv(on_a_gpu())[1:5] == ["-m", "vllm.entrypoints.cli.main", "serve", "artifact"]
    assert VLLM.argv(launch())[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]


def test_every_option_of_a_plan_is_a_flag_of_vllm_and_none_is_there_unasked() -> None:
    given = options(
        VLLM.argv(
            on_a_gpu(
                tensor_parallel=2,
                memory_share=0.4,
                batched_tokens=8192,
                attention_backend="FLASH_ATTN",
                linear_backend="marlin",
                engine_args=("--async-scheduling",),
            )
        )
    )
    assert given["--tensor-parallel-size"] == "2"
    assert given["--gpu-memory-utilization"] == "0.4"
    assert given["--max-num-batched-tokens"] == "8192"
    assert given["--attention-backend"] == "FLASH_ATTN"
    assert given["--linear-backend"] == "marlin"
    assert "--async-scheduling" in given
    plain = options(VLLM.argv(on_a_gpu()))
    assert set(given) - set(plain) == {
        "--tensor-parallel-size",
        "--gpu-memory-utilization",
        "--max-num-batched-tokens",
        "--attention-backend",
        "--linear-backend",
        "--async-scheduling",
    }


def test_the_cache_takes_what_is_left_where_a_plan_gives_it_no_size() -> None:
    assert "--kv-cache-memory-bytes" not in VLLM.argv(on_a_gpu())
    assert options(VLLM.argv(launch()))["--kv-cache-memory-bytes"] == str(1 << 29)
    assert "--kv-cache-gib" not in ENGINES["llamacpp"].argv(on_a_gpu())


def test_what_vllm_compiles_is_kept_beside_the_run() -> None:
    started = replace(launch(), cache=launch().artifact / "cache")
    assert VLLM.env(started)["VLLM_CACHE_ROOT"] == "artifact/cache/vllm"


def test_every_flag_that_we_set_is_kept_from_the_words_of_a_plan() -> None:
    ours = VLLM.argv(launch()) + VLLM.argv(
        on_a_gpu(tensor_parallel=1, memory_share=1, batched_tokens=1)
    )
    assert {word for word in ours if word.startswith("--")} <= VLLM.own_flags


@pytest.mark.parametrize(
    ("engine", "tuning", "message"),
    [
        ("vllm", {"engine_args": ("--port=1",)}, "engine_args: --port is set already"),
        ("llamacpp", {"tensor_parallel": 2}, "tensor_parallel: llama.cpp has no such option"),
        ("trtllm", {"eager": True}, r"it takes: batched_tokens, tensor_parallel"),
    ],
)
def test_an_option_that_an_engine_has_not_is_refused(
    engine: str, tuning: dict[str, Any], message: str
) -> None:
    spec = ENGINES[engine]
    reason = refused_option(Tuning(**tuning), spec.title, spec.tunes, spec.own_flags)
    assert reason is not None
    assert message in reason


def test_tensorrt_llm_splits_and_batches_as_the_plan_says() -> None:
    argv = options(ENGINES["trtllm"].argv(on_a_gpu(tensor_parallel=2, batched_tokens=4096)))
    assert (argv["--tp_size"], argv["--max_num_tokens"]) == ("2", "4096")


def test_options_that_are_not_set_leave_no_trace_in_what_is_written() -> None:
    assert Tuning().model_dump() == {}
    assert Tuning(eager=True).model_dump() == {"eager": True}
