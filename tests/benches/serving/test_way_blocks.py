"""A block that says nothing is void, and the level is told by the others."""

import json
import os
from pathlib import Path

import pytest

from deploy.service import ServiceRecord
from loadtest.null_server import null_server
from tests.benches.harness import bench_figures
from tests.benches.harness.bench_run import VOID, BenchRun
from tests.benches.serving import way_blocks
from tests.benches.serving.measured_service import BenchService, Child
from tests.benches.serving.null_variant import NAME
from tests.benches.serving.way_blocks import Level, block_of, conclude, measure_level
from tests.benches.serving.way_figures import DIRECT
from tests.quantize.jobs.processes import killed_leaves_nothing


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


def test_a_killed_benchmark_takes_its_client_along(tmp_path: Path) -> None:
    with null_server(ttft_s=300) as port:
        service = a_service(port, port, tmp_path)
        block = block_of(service, Level(engine=NAME, concurrency=1), DIRECT, 0)
        script = (
            "from tests.benches.serving.way_blocks import Block, run_client\n"
            f"run_client(Block.model_validate_json({block.model_dump_json()!r}))\n"
        )
        assert killed_leaves_nothing(script, 2)


def test_a_killed_benchmark_takes_its_sampler_along(tmp_path: Path) -> None:
    # Where py-spy is installed it is itself that runs.
    stand_in = tmp_path / "py-spy"
    stand_in.write_text("#!/bin/sh\nexec sleep 300\n")
    stand_in.chmod(0o755)
    script = (
        "import os, time; from pathlib import Path\n"
        "from tests.benches.serving import cpu_use\n"
        "cpu_use.SAMPLE_S = 300\n"
        f"cpu_use.sampler(os.getpid(), Path({str(tmp_path / 'raw')!r}))\n"
        "time.sleep(300)\n"
    )
    assert killed_leaves_nothing(script, 2, PATH=f"{tmp_path}:{os.environ['PATH']}")
