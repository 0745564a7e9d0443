"""The record of the running service, and how to find and stop what belongs to it.

Every process of a deployment (host, Ray, replicas, engines) inherits ``ASSAY_DEPLOYMENT`` in its
environment, so that exactly those are stopped and never another Ray cluster of the machine.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from quantize.jobs.lifeline import start_time
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT

# A second service of the same checkout (the test suite's) keeps its record elsewhere.
RUN_DIR = Path(os.environ.get("ASSAY_RUN_DIR") or ROOT / ".run")
RECORD = RUN_DIR / "service.json"
MARK = "ASSAY_DEPLOYMENT"
STOP_GRACE_S = 45.0


class DeployError(RuntimeError):
    """The service did not come up; the message says which variant and why."""


@dataclass(frozen=True, kw_only=True)
class ServiceRecord:
    """What ``.run/service.json`` says of the service that was started last."""

    deployment: str
    host_pid: int
    host_started: int
    url: str
    plan: str
    fingerprint: str
    variants: tuple[str, ...]
    ray_folder: str
    # The existing cluster it runs on as a guest, and whether Serve was started there for it.
    ray_address: str | None = None
    owns_serve: bool = False

    def is_alive(self) -> bool:
        """Whether the host process still runs (pid and start time both match)."""
        return start_time(self.host_pid) == self.host_started


def read_record() -> ServiceRecord | None:
    """The last service's record, whether it still runs or not."""
    try:
        content: dict[str, Any] = json.loads(RECORD.read_text())
        return ServiceRecord(**{**content, "variants": tuple(content["variants"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(record: ServiceRecord) -> None:
    """Write the record, whole or not at all."""
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    write_whole(RECORD, json.dumps(asdict(record), indent=2))


def remove_record() -> None:
    """Forget the service: nothing of it is left."""
    RECORD.unlink(missing_ok=True)


def clear(record: ServiceRecord) -> None:
    """Clear away what is left of a service whose host is gone.

    Raises:
        DeployError: its applications are on a cluster that can be reached, and did not go.
    """
    last = read_record()
    if last is not None and last.deployment == record.deployment and last.ray_address:
        _withdraw(last)
    sweep(record.deployment, record.ray_folder)


def _withdraw(record: ServiceRecord) -> None:
    """Take a guest's applications off its cluster, as a driver of its own."""
    command = [
        sys.executable,
        "-m",
        "deploy.ray_cluster.withdraw",
        str(record.ray_address),
        record.deployment,
    ]
    done = subprocess.run(
        [*command, *(["--with-serve"] if record.owns_serve else [])],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise DeployError(
            done.stderr.strip() or f"deploy.ray_cluster.withdraw: exit code {done.returncode}"
        )


def belongs(process: psutil.Process, deployment: str, ray_folder: str) -> bool:
    """Whether a process carries the deployment's mark, or holds a file of its Ray folder open.

    Ray's agents rename themselves over their own environment block, so the mark alone would
    miss them.
    """
    try:
        if process.environ().get(MARK) == deployment:
            return True
        files = Path(f"/proc/{process.pid}/fd").iterdir()
        return any(str(link.readlink()).startswith(f"{ray_folder}/") for link in files)
    except (psutil.Error, OSError):
        return False


def processes_of(deployment: str, ray_folder: str) -> list[psutil.Process]:
    """All processes of a deployment, but for this one."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and belongs(process, deployment, ray_folder)
    ]


def sweep(deployment: str, ray_folder: str) -> int:
    """Kill every process of a deployment whose host is gone; returns how many there were."""
    count = kill_processes(deployment, ray_folder)
    _remove(ray_folder)
    return count


def kill_processes(deployment: str, ray_folder: str) -> int:
    """Kill every process of a deployment but this one; returns how many there were."""
    count = 0
    while processes := processes_of(deployment, ray_folder):
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=5)
        count += len(processes)
    return count


def _remove(ray_folder: str) -> None:
    """Delete a Ray folder under another name.

    `make down` and the host's sweeper sweep at the same time, and deleting opens directories: by
    the folder's own name, each would take the other for a process of the deployment.
    """
    swept = f"{ray_folder}.swept"
    with contextlib.suppress(OSError):
        os.rename(ray_folder, swept)
    shutil.rmtree(swept, ignore_errors=True)


def stop(record: ServiceRecord) -> None:
    """Ask the host to stop, wait, and sweep away what is left."""
    if record.is_alive():
        os.kill(record.host_pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        while record.is_alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        if record.is_alive():
            os.kill(record.host_pid, signal.SIGKILL)
    clear(record)
    remove_record()
