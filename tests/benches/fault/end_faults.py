"""The end of a service, asked for or by ``kill -9`` of its host: nothing of it may stay."""

import os
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from deploy.service import RUN_DIR, processes_of, stop
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.own_service import OwnService

STOP_LIMIT_S = 30.0
SWEEP_LIMIT_S = 20.0
_SHARED = re.compile(r"(/dev/shm/\S+|/tmp/\S+)$")


def files_of(processes: Iterable[psutil.Process]) -> set[Path]:
    """Files in shared memory and temporary folders that processes have open or mapped."""
    found: set[Path] = set()
    for process in processes:
        try:
            mapped = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            links = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        except OSError:
            continue
        matches = (_SHARED.search(line) for line in (*mapped, *links))
        found |= {Path(match[1]) for match in matches if match}
    # The logs of a service stay, wherever its run directory is.
    return {path for path in found if not path.is_relative_to(RUN_DIR)}


def end_service(service: OwnService, *, kill: bool) -> list[Figure]:
    """Stop a service, or kill its host and let the sweeper see to it; what is left?"""
    record = service.record
    fault = "host killed" if kill else "service stopped"
    files = files_of(processes_of(record.deployment, record.ray_folder))
    # The sweeper deletes the folder under another name.
    folders = [Path(record.ray_folder), Path(f"{record.ray_folder}.swept")]
    began_s = time.monotonic()
    if kill:
        os.kill(record.host_pid, signal.SIGKILL)
        while time.monotonic() - began_s < SWEEP_LIMIT_S * 2:
            running = processes_of(record.deployment, record.ray_folder)
            if not running and not any(path.exists() for path in folders):
                break
            time.sleep(0.1)
    else:
        stop(record)
    took_s = time.monotonic() - began_s
    left = processes_of(record.deployment, record.ray_folder)
    kept = [path for path in files if path.exists()]
    kept_folders = [path for path in folders if path.exists()]
    for path in (*kept, *kept_folders):
        print(f"  left: {path}", flush=True)
    limit_s = SWEEP_LIMIT_S if kill else STOP_LIMIT_S
    return [
        at_most(f"{fault}: gone after", took_s, "s", limit_s),
        at_most(f"{fault}: processes left", len(left), "count", 0),
        at_most(f"{fault}: files left in /dev/shm and /tmp", len(kept), "count", 0),
        at_most(f"{fault}: folders left", len(kept_folders), "count", 0),
    ]
