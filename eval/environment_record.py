"""``environment.json``: the machine and the versions a run was measured with."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from deploy.machine_check import weight_only_variants
from deploy.plan import Plan
from deploy.settings import cpu_model, engine_version
from quantize.jobs.whole_file import write_whole
from quantize.processors import usable_cpus
from quantize.root import ROOT

CONTROL_PACKAGES = ("ray", "locust", "lm-eval")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def describe_environment(plan: Plan) -> Mapping[str, object]:
    """CPU, memory, GPU, versions and revision, as the report prints them."""
    engines = {variant.engine.name: variant.engine for variant in plan.resolved_variants()}
    served = dict(engine_version(engines[name]) for name in sorted(engines))
    weight_only = weight_only_variants(plan)
    return {
        **({"weight-only here": ", ".join(weight_only)} if weight_only else {}),
        "cpu": cpu_model(),
        "cores": usable_cpus(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "git_revision": _output("git", "describe", "--always", "--dirty"),
        "versions": {name: version(name) for name in CONTROL_PACKAGES} | served,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_environment(run_dir: Path, plan: Plan) -> None:
    """Write the record by a temporary name and a rename."""
    write_json(run_dir / "environment.json", describe_environment(plan))


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write one JSON file, whole or not at all."""
    write_whole(path, json.dumps(content, indent=2))
