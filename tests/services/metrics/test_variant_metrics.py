"""What one variant tells: its life, its traffic, its engine under our names and its own."""

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.gpus.engine_gpu import EngineGpu
from services.gpus.nvml import read_gpus
from services.metrics.series import GPU, SERIES
from services.metrics.traffic import Traffic
from services.metrics.variant_metrics import VariantMetrics, engine_values, gpu_values
from tests.services.engine.test_child import spec
from tests.services.engine.test_supervisor import supervisor, until
from tests.services.gpus.recorded import H200, SPARK, Nvml

ENGINE_TEXT = """\
# TYPE fake_running gauge
fake_running{rank="0"} 2
fake_running{rank="1"} 3
# TYPE fake_used gauge
fake_used{rank="0"} 0.25
fake_used{rank="1"} 0.5
# TYPE fake_new_total counter
fake_new_total 7
# TYPE fake_reused_total counter
fake_reused_total 5
"""
NAMES = {
    "assay_requests_running": ("fake_running",),
    "assay_kv_cache_used_ratio": ("fake_used",),
    "assay_prompt_tokens_total": ("fake_new_total", "fake_reused_total"),
    "assay_generation_tokens_total": ("fake_never_told_total",),
}
ENGINE = replace(spec("--metrics", ENGINE_TEXT), series=NAMES)


async def told(watched: Supervisor, session: aiohttp.ClientSession) -> dict[str, float]:
    text = (await VariantMetrics(watched, Traffic()).text(session)).decode()
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    assert all(sample.labels["variant"] == "some-variant" for sample in samples)
    return {
        ",".join([sample.name, *(v for k, v in sample.labels.items() if k != "variant")]): (
            sample.value
        )
        for sample in samples
    }


async def told_when_ready(watched: Supervisor) -> dict[str, float]:
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        values = await told(watched, session)
        await watched.stop()
    return values


def test_an_engines_samples_become_one_each() -> None:
    assert engine_values(ENGINE_TEXT, ENGINE) == {
        "assay_requests_running": {(): 5},
        "assay_kv_cache_used_ratio": {(): 0.5},
        "assay_prompt_tokens_total": {(): 12},
    }


def test_a_gpu_tells_all_it_knows_by_index_and_uuid() -> None:
    held = [EngineGpu(uuid="GPU-aaaa-1", name="NVIDIA H200", memory_bytes=118 << 30)]
    values = gpu_values(read_gpus(Nvml(H200, SPARK)), held)
    first, spark = ("0", "GPU-aaaa-1"), ("1", "GPU-cccc-3")
    assert values.keys() == GPU.keys()
    assert values["assay_gpu_energy_joules_total"] == {first: 5000.25}
    assert values["assay_gpu_engine_memory_bytes"] == {first: 118 << 30}
    assert values["assay_gpu_power_watts"] == {first: 665, spark: 665}
    assert values["assay_gpu_throttled"] == {first: 1, spark: 1}
    assert gpu_values([], held) == {}


async def test_a_ready_variant_tells_its_engine_its_memory_and_its_own_state(
    tmp_path: Path,
) -> None:
    watched = supervisor(tmp_path, ENGINE)
    values = await told_when_ready(watched)
    assert values["assay_variant_up"] == 1
    assert {state: values[f"assay_variant_state,{state}"] for state in State} == {
        state: float(state is State.READY) for state in State
    }
    assert values["assay_variant_info,false,fake,fake 1,bf16"] == 1
    assert values["assay_requests_running"] == 5
    assert values["fake_running,0"] == 2
    assert values["assay_memory_bytes"] > 1e6
    assert values["assay_requests_limit"] == 2
    assert values["assay_requests_total,200"] == 0
    names = {name.partition(",")[0] for name in values if name.startswith("assay_")}
    families = {
        n.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for n in names
    }
    assert families <= SERIES.keys()


async def test_a_variant_that_is_not_ready_still_says_so(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, replace(ENGINE, argv=spec("--never-ready").argv))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        values = await told(watched, session)
        await watched.stop()
    assert values["assay_variant_up"] == 0
    assert values["assay_variant_state,starting"] == 1
    assert "assay_requests_running" not in values
    assert "assay_memory_bytes" not in values


async def test_an_engine_without_metrics_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, replace(ENGINE, metrics_path="/no-such-route"))
    values = await told_when_ready(watched)
    assert values["assay_variant_up"] == 1
    assert "assay_requests_running" not in values


@pytest.mark.parametrize("line", ["fake_running two", "fake_running ", 'fake_running{rank="0"}'])
async def test_an_engine_that_tells_no_number_leaves_the_rest_as_it_is(
    tmp_path: Path, line: str
) -> None:
    watched = supervisor(tmp_path, replace(spec("--metrics", f"{line}\n"), series=NAMES))
    values = await told_when_ready(watched)
    assert values["assay_variant_up"] == 1
    assert not {"assay_requests_running", "fake_running"} & values.keys()
