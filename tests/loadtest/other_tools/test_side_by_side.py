"""Other tools' results beside ours.

covers: loadtest/other_tools/foreign_run.py
"""

from pathlib import Path

import pytest

from loadtest.closed_loop import ClosedLoop
from loadtest.other_tools.foreign_run import ForeignCell, ForeignFileError, ForeignRun
from loadtest.other_tools.side_by_side import rows_of_theirs, show_loads, table
from loadtest.run_directory import open_run
from tests.eval.run_on_disk import load_file, records
from tests.loadtest.examples import a_plan
from tests.loadtest.other_tools.test_reading import AIPERF, GUIDELLM, written


def test_equal_loads_stand_together_and_an_unknown_one_last() -> None:
    def cell(streams: int | None) -> ForeignCell:
        return ForeignCell(
            point=None if streams is None else ClosedLoop(streams),
            load="all at once" if streams is None else f"{streams} streams",
            requests=3,
            errors=0,
            latencies={"ttft_s": {"p50": 0.0123}},
            output_tok_per_s=None,
            request_per_s=2.0,
        )

    rows = [
        row
        for tool in ("b", "a")
        for row in rows_of_theirs(
            ForeignRun(tool=tool, version="1", model="m", cells=[cell(None), cell(16), cell(2)])
        )
    ]
    lines = table(rows, ["it is so", "it is so"]).splitlines()
    assert [line.split("  ")[0] for line in lines[2:-1]] == [
        *("2 streams", "2 streams", "16 streams", "16 streams"),
        *("all at once", "all at once"),
    ]
    assert "12.30" in lines[2]
    assert lines[0].count("p50 ms") == 3
    assert lines[0].endswith("tok/s  req/s")
    assert lines[-1] == "* it is so"


def test_ours_and_theirs_are_in_one_table(tmp_path: Path) -> None:
    plan = a_plan(1).model_copy(update={"variants": ("bf16-vllm",), "baseline": "bf16-vllm"})
    run = open_run(plan, tmp_path)
    (run / "bf16-vllm").mkdir()
    ours = load_file("bf16-vllm", records("bf16-vllm", 0.01))
    (run / "bf16-vllm" / "load.json").write_text(ours.model_dump_json())
    files = [written(tmp_path, AIPERF, "a.json"), written(tmp_path, GUIDELLM, "g.json")]
    text = show_loads(run, plan, files)
    ones = [" ".join(line.split()) for line in text.splitlines() if line.startswith("1 streams")]
    assert [one.split()[2] for one in ones] == ["GuideLLM", "bf16-vllm"]
    assert "50.00" in ones[0]
    assert "* GuideLLM: its TPOT is what it calls inter token latency" in text
    assert text.splitlines()[-1].startswith("* others' latencies are of requests that succeeded")


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFileError, match="no load test yet"):
        show_loads(tmp_path, a_plan(1), [])
