import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deploy.service import MARK, ServiceRecord
from tests.benches.soak.processes import Sampler, role, title, write_samples

REPLICA = ["ray::ServeReplica:gguf-q8_0:gguf-q8_0", ""]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["ray::ServeReplica:auto-4.5-vllm:auto-4.5-vllm", ""], "auto-4.5-vllm"),
        (["ray::ServeController.listen_for_change"], "ray::ServeController"),
        (
            [
                "ray::SERVE_REPLICA::gguf-q8_0#gguf-q8_0#42u:ServeReplica:gguf-q8_0:gguf-q8_0.__init__"
            ],
            "ray::ServeReplica:gguf-q8_0:gguf-q8_0",
        ),
        (["ray::SERVE_CONTROLLER_ACTOR:ServeController"], "ServeController"),
        (["/x/bin/python", "-m", "vllm.entrypoints.openai.api_server", "--port", "1"], "vllm."),
        (["/x/bin/python", "-u", "/ray/log_monitor.py", "--session-dir=/tmp"], "log_monitor.py"),
        (["/ray/gcs/gcs_server", "--log_dir=/tmp"], "gcs_server"),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(31)"], "multi"),
        (["VLLM::EngineCore", ""], "VLLM::EngineCore"),
        ([], "?"),
    ],
)
def test_a_process_is_called_by_what_it_runs(command: list[str], expected: str) -> None:
    assert expected in title(command)


def test_what_a_replica_started_is_named_after_its_variant() -> None:
    child = ["/x/bin/python", "-m", "services.server", "--port", "1"]
    assert role(child, [REPLICA, ["/ray/raylet"]]) == "gguf-q8_0: server"
    assert role(["VLLM::EngineCore"], [child, REPLICA]) == "gguf-q8_0: VLLM::EngineCore"
    assert role(REPLICA, [["/ray/raylet"]]) == "ServeReplica:gguf-q8_0:gguf-q8_0"


def test_every_process_of_the_deployment_is_sampled_and_no_other(tmp_path: Path) -> None:
    record = ServiceRecord(
        deployment="soak-test",
        host_pid=os.getpid(),
        host_started=0,
        url="",
        plan="",
        fingerprint="",
        variants=(),
        ray_folder=tempfile.mkdtemp(dir=tmp_path),
    )
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"]
    with subprocess.Popen(
        command, env={**os.environ, MARK: "soak-test"}, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            with Sampler(record, 0.1) as sampler:
                deadline = time.monotonic() + 60
                while len(sampler.samples) < 2 and time.monotonic() < deadline:
                    time.sleep(0.05)
        finally:
            child.kill()
    assert {sample.pid for sample in sampler.samples} == {child.pid}
    assert len(sampler.samples) >= 2
    assert all(sample.pss_bytes > 2**20 and sample.threads == 1 for sample in sampler.samples)
    write_samples(tmp_path / "samples.parquet", sampler.samples)
    assert pq.read_table(tmp_path / "samples.parquet").num_rows == len(sampler.samples)
