"""The virtual environments under ``.venvs``: their Pythons, and what a tool finds in its variables.

Standard library only: set-up imports this before any environment exists.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from quantize.jobs.failure import ToolError
from quantize.jobs.surroundings import cleaned
from quantize.root import ROOT, VENVS


def python_of(name: str) -> Path:
    """The interpreter of an environment, whether it exists yet or not."""
    return VENVS / name / "bin" / "python"


def environment_python(name: str) -> Path:
    """The interpreter of an environment that was made.

    Raises:
        ToolError: it was not.
    """
    python = python_of(name)
    if not python.exists():
        raise ToolError(f"the environment {name!r} is missing ({python}); run `make setup`")
    return python


def installed_version(environment: str, distribution: str) -> str:
    """The version of a distribution in an environment.

    Raises:
        ToolError: the environment or the distribution is missing.
    """
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run(
        [environment_python(environment), "-c", code, distribution],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{distribution} is not installed in {environment!r}; run `make setup`")
    return done.stdout.strip()


def tool_variables(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Offline, and with a fixed number of threads: a tool must not reach for more of either."""
    fixed = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        # Threads that spin while they wait take the processor from everything else here.
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**cleaned(os.environ), **fixed, **(extra or {})}
