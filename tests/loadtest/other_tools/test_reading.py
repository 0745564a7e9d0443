"""Result files of other tools are read by meaning; what is none of them is refused by name.

covers: loadtest/other_tools/from_aiperf.py, loadtest/other_tools/from_guidellm.py,
loadtest/other_tools/from_vllm_bench.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.closed_loop import ClosedLoop
from loadtest.open_loop import ConstantRate, PoissonRate
from loadtest.other_tools.foreign_run import ForeignFileError
from loadtest.other_tools.reading import read_foreign

VLLM: dict[str, Any] = {
    "model_id": "gguf-q8_0",
    "completed": 3,
    "failed": 1,
    "duration": 4.0,
    "output_throughput": 8.25,
    "request_throughput": 0.75,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 2,
    "mean_ttft_ms": 110.0,
    "median_ttft_ms": 100.0,
    "p99_ttft_ms": 150.0,
    "median_tpot_ms": 20.0,
}
DETAIL = {
    "ttfts": [0.1, 0.2, 0.3, 0.0],
    "latencies": [0.3, 0.5, 0.8, 0.0],
    "output_lens": [11, 11, 11, 0],
    "itls": [[0.02] * 10, [0.03] * 10, [0.05] * 10, []],
    "errors": ["", "", "", "HTTP 429"],
}
AIPERF: dict[str, Any] = {
    "schema_version": "1.4",
    "aiperf_version": "0.13.0",
    "input_config": {
        "models": {"items": [{"name": "gguf-q8_0"}]},
        "phases": [
            {"name": "warmup", "type": "concurrency", "concurrency": 1},
            {"name": "profiling", "type": "concurrency", "concurrency": 8},
        ],
    },
    "request_count": {"unit": "requests", "avg": 40.0},
    "error_request_count": {"unit": "requests", "avg": 2.0},
    "time_to_first_token": {"unit": "ms", "avg": 52.0, "p50": 50.0, "p99": 90.0},
    "inter_token_latency": {"unit": "ms", "avg": 20.5, "p50": 20.0},
    "request_latency": {"unit": "ms", "p50": 250.0},
    "output_token_throughput": {"unit": "tokens/sec", "avg": 321.0},
    "request_throughput": {"unit": "requests/sec", "avg": 32.1},
}
GUIDELLM: dict[str, Any] = {
    "metadata": {"version": 2, "guidellm_version": "0.8.1"},
    "config": {"spec": {"backend": {"kind": "openai_http", "model": "gguf-q8_0"}}},
    "benchmarks": [
        {
            "config": {"strategy": {"type_": kind, **amount}},
            "metrics": {
                "request_totals": {"successful": 30, "errored": 1, "incomplete": 2, "total": 33},
                "time_to_first_token_ms": {
                    "successful": {"mean": 51.0, "count": 30, "percentiles": {"p50": 50.0}}
                },
                "time_per_output_token_ms": {
                    "successful": {"mean": 99.0, "count": 30, "percentiles": {"p50": 99.0}}
                },
                "inter_token_latency_ms": {
                    "successful": {"mean": 20.0, "count": 30, "percentiles": {"p50": 20.0}}
                },
                "request_latency": {
                    "successful": {"mean": 0.3, "count": 30, "percentiles": {"p50": 0.25}}
                },
                "output_tokens_per_second": {"successful": {"mean": 300.0, "count": 9}},
                "requests_per_second": {"successful": {"mean": 30.0, "count": 9}},
            },
        }
        for kind, amount in (
            ("synchronous", {}),
            ("concurrent", {"streams": 8}),
            ("poisson", {"rate": 2.5}),
            ("constant", {"rate": 4.0}),
            ("throughput", {}),
        )
    ],
}


def written(folder: Path, content: Any, name: str = "result.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_vllm_s_single_requests_are_summed_as_ours_and_the_failed_left_out(tmp_path: Path) -> None:
    run = read_foreign(written(tmp_path, VLLM | DETAIL))
    (cell,) = run.cells
    assert (run.tool, run.model, cell.point) == ("vllm bench serve", "gguf-q8_0", ClosedLoop(2))
    assert (cell.requests, cell.errors) == (4, 1)
    assert cell.latencies["ttft_s"]["p50"] == 0.2
    assert cell.latencies["tpot_s"]["p50"] == pytest.approx(0.03)
    assert cell.latencies["gap_s"]["p99"] == pytest.approx(0.05)
    assert (cell.output_tok_per_s, cell.request_per_s) == (8.25, 0.75)


def test_without_them_its_own_summary_counts(tmp_path: Path) -> None:
    (cell,) = read_foreign(written(tmp_path, VLLM)).cells
    assert cell.latencies["ttft_s"] == {"mean": 0.11, "p50": 0.1, "p99": 0.15}
    assert cell.latencies["tpot_s"] == {"p50": 0.02}
    assert "e2e_s" not in cell.latencies


@pytest.mark.parametrize(
    ("asked", "point", "load"),
    [
        ({"request_rate": 5.0, "max_concurrency": None}, PoissonRate(5.0), "5 requests a second"),
        ({"request_rate": 5.0, "max_concurrency": 4}, None, "at most 4 at once"),
        ({"request_rate": 5.0, "burstiness": 0.5, "max_concurrency": None}, None, "burstiness 0.5"),
        ({"max_concurrency": None}, None, "all a second"),
    ],
)
def test_a_load_that_ours_has_no_kind_for_is_told_in_words(
    tmp_path: Path, asked: dict[str, Any], point: PoissonRate | None, load: str
) -> None:
    (cell,) = read_foreign(written(tmp_path, VLLM | asked)).cells
    assert cell.point == point
    assert load in cell.load


def test_aiperf_s_inter_token_latency_is_our_tpot(tmp_path: Path) -> None:
    run = read_foreign(written(tmp_path, AIPERF))
    (cell,) = run.cells
    assert (run.tool, run.version, run.model) == ("AIPerf", "0.13.0", "gguf-q8_0")
    assert (cell.point, cell.requests, cell.errors) == (ClosedLoop(8), 42, 2)
    assert cell.latencies["ttft_s"] == pytest.approx({"mean": 0.052, "p50": 0.05, "p99": 0.09})
    assert cell.latencies["tpot_s"]["p50"] == pytest.approx(0.02)
    assert (cell.output_tok_per_s, cell.request_per_s) == (321.0, 32.1)


def test_an_aiperf_run_that_was_cut_short_says_so(tmp_path: Path) -> None:
    cut = AIPERF | {"is_complete": False, "incomplete_reason": "stalled"}
    assert "it was cut short: stalled" in read_foreign(written(tmp_path, cut)).remarks


def line(start_s: float, ttft_ms: float, **more: Any) -> str:
    metrics = {
        "time_to_first_token": {"value": ttft_ms, "unit": "ms"},
        "output_sequence_length": {"value": 10, "unit": "tokens"},
        "inter_chunk_latency": {"value": [20.0, 30.0], "unit": "ms"},
    }
    metadata = {"request_start_ns": start_s * 1e9, "request_end_ns": (start_s + 1) * 1e9}
    return json.dumps({"metadata": metadata, "metrics": metrics, "error": None} | more)


def test_aiperf_s_lines_take_their_load_from_the_summary_beside_them(tmp_path: Path) -> None:
    lines = [line(0, 50), line(1, 70), line(2, 90, error={"message": "no"}), line(3, 60)]
    path = written(tmp_path, "\n".join(lines), "profile_export.jsonl")
    (alone,) = read_foreign(path).cells
    assert (alone.point, alone.load) == (None, "not told")
    written(tmp_path, AIPERF, "profile_export_aiperf.json")
    (cell,) = read_foreign(path).cells
    assert (cell.point, cell.requests, cell.errors) == (ClosedLoop(8), 4, 1)
    assert cell.latencies["ttft_s"]["p50"] == pytest.approx(0.06)
    assert cell.latencies["gap_s"]["p50"] == pytest.approx(0.02)
    assert cell.output_tok_per_s == pytest.approx(30 / 4)


def test_guidellm_s_inter_token_latency_is_our_tpot_and_its_tpot_is_not(tmp_path: Path) -> None:
    run = read_foreign(written(tmp_path, GUIDELLM))
    assert (run.tool, run.version, run.model) == ("GuideLLM", "0.8.1", "gguf-q8_0")
    assert [cell.point for cell in run.cells] == [
        ClosedLoop(1),
        ClosedLoop(8),
        PoissonRate(2.5),
        ConstantRate(4.0),
        None,
    ]
    cell = run.cells[1]
    assert (cell.requests, cell.errors) == (31, 1)
    assert cell.latencies["tpot_s"]["p50"] == pytest.approx(0.02)
    assert cell.latencies["e2e_s"]["p50"] == 0.25
    assert (cell.output_tok_per_s, cell.request_per_s) == (300.0, 30.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{broken", "result.json"),
        ("[1, 2]", "no result of a tool that is known"),
        ('{"a": 1}', "no result of a tool that is known"),
        (json.dumps(VLLM | {"completed": "many"}), "completed"),
        (json.dumps(AIPERF | {"request_latency": {"unit": "weeks", "p50": 1}}), "weeks"),
    ],
)
def test_what_is_no_such_file_is_refused_with_its_name_and_the_known_ones(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(ForeignFileError, match=message) as refused:
        read_foreign(written(tmp_path, content))
    assert "vllm bench serve" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFileError, match="No such file"):
        read_foreign(tmp_path / "none.json")
