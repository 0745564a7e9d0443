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
from collections.abc import Sequence
from pathlib import Path

from deploy.artifacts import artifact_of, quantize_command, source_model
from deploy.environments import ROOT
from loadtest.fault_bench.recovery import at_most, ready
from loadtest.fault_bench.small_disk import SmallDisk, small_disk
from loadtest.fault_bench.stage import FaultError, Stage
from loadtest.run_directory import run_directory
from quantize.bench_figures import Figure

# Half of the finished artifact.
ARTIFACTS_BYTES = 24 * 2**20
RESULTS_BYTES = 8 * 2**10
RECIPE = "gguf-bf16"
COMMAND_TIMEOUT_S = 240


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def _failure_figures(
    fault: str, done: subprocess.CompletedProcess[str], name: str, finished: int
) -> list[Figure]:
    """How a command failed: as one that says so, and without leaving a finished result."""
    told = f"{done.stdout}\n{done.stderr}"
    lines = [line for line in told.splitlines() if line.startswith(f"{name}: ")]
    named = any(
        word in line.lower() for line in lines for word in ("no space", "too large", "are free")
    )
    unlike = 0 if done.returncode in {1, 2} else 1
    return [
        at_most(f"{fault}: exit code that is no failure's", unlike, "count", 0),
        at_most(f"{fault}: message does not name the disk", 0 if named else 1, "count", 0),
        at_most(f"{fault}: tracebacks", told.count("Traceback"), "count", 0),
        at_most(f"{fault}: left as if finished", finished, "count", 0),
    ]


async def fill_artifacts(stage: Stage) -> list[Figure]:
    """Make an artifact where there is no room for it.

    The command looks for room before it begins; what it does when it runs out of it all the same
    is tried with a limit that it cannot foresee. In the end there is room.
    """
    figures = []
    model = source_model(stage.service.plan)
    command = quantize_command(stage.service.plan, [RECIPE])
    place = command.index("--artifacts") + 1
    with tempfile.TemporaryDirectory(prefix="assay-full-") as scratch:
        with small_disk(Path(scratch) / "small", ARTIFACTS_BYTES) as small:
            limited = SmallDisk(folder=Path(scratch), size_bytes=ARTIFACTS_BYTES, mounted=False)
            for disk in (small, limited):
                command[place] = str(disk.folder / "artifacts")
                done = await asyncio.to_thread(_run, disk.command(command))
                finished = len(list(disk.folder.rglob("manifest.json")))
                fault = f"artifacts' disk full ({disk.kind})"
                figures += _failure_figures(fault, done, "quantize", finished)
        again = await asyncio.to_thread(_run, command)
        made = artifact_of(model, RECIPE)
        manifest = Path(command[place]) / made.parent.name / made.name / "manifest.json"
        missing = int(again.returncode != 0 or not manifest.is_file())
    fault = "artifacts' disk full: not made once there is room"
    return [*figures, at_most(fault, missing, "count", 0)]


async def fill_results(stage: Stage) -> list[Figure]:
    """Load-test where the results find no room; the service must not notice."""
    fault = "results' disk full"
    plan = stage.service.plan
    folder = run_directory(plan)
    if folder.exists():
        raise FaultError(f"{folder} exists: it would be hidden; move it away")
    plan_file = Path(os.environ["ASSAY_RUN_DIR"]) / "plan.yaml"
    command = [sys.executable, "-m", "loadtest", "--plan", str(plan_file)]
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
        *_failure_figures(f"{fault} ({disk.kind})", done, "loadtest", finished),
        at_most(f"{fault}: service harmed", int(outcome.ending != "finished"), "count", 0),
    ]
