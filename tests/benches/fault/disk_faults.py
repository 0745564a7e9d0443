"""A full disk: under the artifacts while one is made, under the results while a load is run.

A command must fail with one clear line, leave nothing that looks finished, and do its work once
there is room again.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.artifacts import artifact_of, source_model
from deploy.service import RUN_DIR
from loadtest.run_directory import run_directory
from quantize.root import ROOT
from tests.benches.fault.recovery import ready
from tests.benches.fault.small_disk import small_disk
from tests.benches.fault.stage import FaultError, Stage
from tests.benches.harness.bench_figures import Figure, at_most
from tests.quantize.made import command_of

# Half of the finished artifact; and more than what making it needs.
SMALL_BYTES = 24 * 2**20
FILLED_BYTES = 160 * 2**20
# The words by which messages name the cause.
CAUSES = ("no space", "disk is full", "are free", "too large", "written")
RESULTS_BYTES = 8 * 2**10
RECIPE = "gguf-bf16"
COMMAND_TIMEOUT_S = 240
FILL_TIMEOUT_S = 60.0


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FaultError(f"{command[-1]}: no end after {COMMAND_TIMEOUT_S} s") from None


def _failure_figures(
    fault: str, done: subprocess.CompletedProcess[str], name: str, finished: int
) -> list[Figure]:
    """How a command failed: as one that says so, and without leaving a finished result."""
    told = f"{done.stdout}\n{done.stderr}"
    lines = [line for line in told.splitlines() if line.startswith(f"{name}: ")]
    named = any(word in line.lower() for line in lines for word in CAUSES)
    unlike = 0 if done.returncode in {1, 2} else 1
    return [
        at_most(f"{fault}: exit code that is no failure's", unlike, "count", 0),
        at_most(f"{fault}: message does not name the disk", 0 if named else 1, "count", 0),
        at_most(f"{fault}: tracebacks", told.count("Traceback"), "count", 0),
        at_most(f"{fault}: left as if finished", finished, "count", 0),
    ]


async def fill_artifacts(stage: Stage) -> list[Figure]:
    """Make an artifact where there is no room for it, where the room goes meanwhile, and with room.

    The command looks for room before it begins; so the second disk is filled by others when the
    tool has been started (where mounting is not allowed, its files are limited, unforeseen too).
    """
    figures = []
    plan = stage.service.plan

    def making(artifacts: Path) -> list[str]:
        return command_of(plan.model, artifacts, plan.calibration.text, RECIPE)

    with tempfile.TemporaryDirectory(prefix="assay-full-") as scratch:
        for name, size_bytes in (("too small", SMALL_BYTES), ("filled meanwhile", FILLED_BYTES)):
            with small_disk(Path(scratch) / name, size_bytes) as disk:
                command = disk.command(making(disk.folder / "artifacts"))
                running = asyncio.to_thread(_run, command)
                if disk.mounted and size_bytes == FILLED_BYTES:
                    until_s = time.monotonic() + FILL_TIMEOUT_S
                    filling = asyncio.to_thread(_fill, disk.folder, until_s)
                    done, _ = await asyncio.gather(running, filling)
                else:
                    done = await running
                finished = len(list(disk.folder.rglob("manifest.json")))
            fault = f"artifacts' disk {name} ({disk.kind})"
            figures += _failure_figures(fault, done, "quantize", finished)
        roomy = Path(scratch) / "artifacts"
        again = await asyncio.to_thread(_run, making(roomy))
        made = artifact_of(source_model(plan), RECIPE)
        manifest = roomy / made.parent.name / made.name / "manifest.json"
        missing = int(again.returncode != 0 or not manifest.is_file())
    fault = "artifacts' disk full: not made once there is room"
    return [*figures, at_most(fault, missing, "count", 0)]


def _fill(folder: Path, until_s: float) -> None:
    """Take all room of a disk when a tool's log has appeared on it; gives up when it is late."""
    while not list(folder.rglob("*.log")):
        if time.monotonic() > until_s:
            return
        time.sleep(0.02)
    with (folder / "others").open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(1 << 16)):
                pass
        except OSError:
            return


async def fill_results(stage: Stage) -> list[Figure]:
    """Load-test where the results find no room; the service must not notice."""
    fault = "results' disk full"
    plan = stage.service.plan
    folder = run_directory(plan)
    if folder.exists():
        raise FaultError(f"{folder} exists: it would be hidden; move it away")
    plan_file = RUN_DIR / "plan.yaml"
    command = [sys.executable, str(ROOT / "assay"), "loadtest", "--plan", str(plan_file)]
    command += ["--variants", stage.neighbour]
    try:
        with small_disk(folder, RESULTS_BYTES) as disk:
            done = await asyncio.to_thread(_run, disk.command(command))
            finished = len(list(folder.rglob("load.json")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    await ready(stage)
    outcome = await stage.client().complete()
    return [
        *_failure_figures(f"{fault} ({disk.kind})", done, "assay loadtest", finished),
        at_most(f"{fault}: service harmed", int(outcome.ending != "finished"), "count", 0),
    ]
