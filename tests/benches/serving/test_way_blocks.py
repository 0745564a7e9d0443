"""A block that says nothing is void, and the level is told by the others."""

import json
import os
from pathlib import Path

import pytest

from deploy.service import ServiceRecord
from tests.benches.harness import bench_figures
from tests.benches.harness.bench_run import VOID, BenchRun
from tests.benches.harness.null_server import null_server
from tests.benches.serving import way_blocks
from tests.benches.serving.measured_service import BenchService, Child
from tests.benches.serving.null_variant import NAME
from tests.benches.serving.way_blocks import Level, conclude, measure_level


def a_service(port: int, direct_port: int, folder: Path) -> BenchService:
    """A service that is a server which answers late, beside the engine asked directly."""
    record = ServiceRecord(
        deployment="none",
        host_pid=os.getpid(),
        host_started=0,
        url="",
        plan="",
        fingerprint="",
        variants=(NAME,),
        ray_folder=str(folder),
    )
    child = Child(port=direct_port, key="", pid=os.getpid())
    return BenchService(port=port, children={NAME: child}, record=record)


def test_a_window_in_which_no_request_was_finished_is_void_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_figures, "BENCH_DIR", tmp_path)
    monkeypatch.setattr(way_blocks, "WARMUP_S", 1)
    monkeypatch.setattr(way_blocks, "DURATION_S", 2)
    run, level = BenchRun(name="serving", selection={}), Level(engine=NAME, concurrency=4)
    with (
        null_server(ttft_s=3.5, tpot_s=0) as late,
        null_server(ttft_s=0, tpot_s=0.001) as direct,
        run.kept(),
    ):
        measure_level(a_service(late, direct, tmp_path), level, 1, run)
        conclude(run, level)
    assert [m.way for m in level.measured] == ["direct"]
    content = json.loads((tmp_path / "serving.json").read_text())
    assert {cell["cell"] for cell in content["void"]} == {
        "null c=4 serve, round 1",
        "null c=4 gateway, round 1",
    }
    assert {cell["reason"] for cell in content["void"]} == {
        "no request was sent within the window and finished"
    }
    assert run.exit_code == VOID
