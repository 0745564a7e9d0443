"""The report has the fields that llm-d's schema 0.2.1 asks for, and no figure that is not known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.plan_load import ClosedLoopLoad, TraceLoad
from loadtest.load_file import LoadFile
from loadtest.other_tools.to_llmd import llmd_report, write_llmd
from loadtest.records import RequestRecord, write_records
from loadtest.trace_replay import TraceReplay
from tests.eval.run_on_disk import load_file, records

VARIANT = "bf16-vllm"


@pytest.fixture
def measured() -> tuple[LoadFile, list[RequestRecord]]:
    rows = records(VARIANT, 0.01)
    return load_file(VARIANT, rows), rows


def report(measured: tuple[LoadFile, list[RequestRecord]]) -> dict[str, Any]:
    load, rows = measured
    return llmd_report(load, load.levels[0], rows, model="org/name", run="r-1", stage=0)


def test_latencies_are_in_seconds_with_the_percentiles_that_are_certified(
    measured: tuple[LoadFile, list[RequestRecord]],
) -> None:
    found = report(measured)["results"]["request_performance"]["aggregate"]
    ttft = found["latency"]["time_to_first_token"]
    assert (ttft["units"], ttft["mean"], ttft["p50"]) == ("s", pytest.approx(0.01), ttft["p50"])
    assert "p99" not in ttft  # 24 requests certify none
    assert found["latency"]["time_per_output_token"]["units"] == "s/token"
    assert found["requests"]["total"] == 24
    rates = found["throughput"]
    assert rates["output_token_rate"]["units"] == "tokens/s"
    assert rates["total_token_rate"]["mean"] == pytest.approx(
        rates["output_token_rate"]["mean"] + rates["input_token_rate"]["mean"]
    )


def test_the_stack_and_the_load_are_named(
    measured: tuple[LoadFile, list[RequestRecord]],
) -> None:
    found = report(measured)
    assert found["version"] == "0.2.1"
    engine = found["scenario"]["stack"][0]["standardized"]
    assert (engine["kind"], engine["model"]) == ("inference_engine", {"name": "org/name"})
    assert engine["accelerator"]["count"] == 0
    load = found["scenario"]["load"]["standardized"]
    assert (load["tool"], load["concurrency"]) == ("assay", 1)
    assert "rate_qps" not in load


def test_every_load_point_of_a_measured_variant_gets_a_file(
    tmp_path: Path, measured: tuple[LoadFile, list[RequestRecord]]
) -> None:
    load, rows = measured
    place = tmp_path / "run" / VARIANT
    place.mkdir(parents=True)
    (place / "load.json").write_text(load.model_dump_json())
    write_records(place / "requests.parquet", rows)
    paths = write_llmd(tmp_path / "run", [VARIANT, "other"], tmp_path / "out", model="m")
    assert [path.name for path in paths] == [f"{VARIANT}-at-closed_loop-1.yaml"]
    assert yaml.safe_load(paths[0].read_text())["run"]["description"].startswith(VARIANT)


def test_what_is_void_is_not_exported(
    tmp_path: Path, measured: tuple[LoadFile, list[RequestRecord]]
) -> None:
    place = tmp_path / "run" / VARIANT
    place.mkdir(parents=True)
    void = measured[0].model_copy(update={"void": ["a neighbour"]})
    (place / "load.json").write_text(void.model_dump_json())
    assert write_llmd(tmp_path / "run", [VARIANT], tmp_path / "out", model="m") == []


def test_lengths_of_a_distribution_are_told_as_such_and_natural_ones_as_not_enforced(
    measured: tuple[LoadFile, list[RequestRecord]],
) -> None:
    load, rows = measured
    uniform = {"distribution": "uniform", "least": 10, "most": 20}
    drawn = ClosedLoopLoad.model_validate({"prompt_tokens": uniform, "natural_length": True})
    rows = [replace(row, prompt_tokens=12) for row in rows]
    told = report((load.model_copy(update={"load": drawn}), rows))["scenario"]["load"]
    assert told["standardized"]["input_seq_len"] == {
        "distribution": "random",
        "value": pytest.approx(15),
        "min": 10,
        "max": 20,
    }
    assert "output_seq_len" not in told["standardized"]


def test_of_a_trace_the_lengths_are_those_that_came_and_its_speed_is_no_rate(
    measured: tuple[LoadFile, list[RequestRecord]],
) -> None:
    load, rows = measured
    point = TraceReplay(2.0)
    rows = [
        replace(row, point=point, prompt_tokens=100 + number) for number, row in enumerate(rows)
    ]
    level = load.levels[0].model_copy(update={"point": point})
    asked = TraceLoad(kind="trace", trace="t.jsonl", speeds=(2.0,))
    replayed = load.model_copy(update={"load": asked, "levels": [level]})
    told = report((replayed, rows))["scenario"]["load"]["standardized"]
    assert told["input_seq_len"] == {
        "distribution": "other",
        "value": pytest.approx(111.5),
        "min": 100,
        "max": 123,
    }
    assert told["output_seq_len"]["value"] == 10
    assert "rate_qps" not in told
    assert "concurrency" not in told
