"""One real service for all tests that need engines: every variant of the test plan, served."""

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.plan import Plan, load_plan
from quantize.root import ROOT

PLAN = Path(__file__).parent / "plan.yaml"

# Tests in a folder ``in_quantize`` need torch; test_in_quantize.py runs them where it is.
collect_ignore_glob: list[str] = []
if importlib.util.find_spec("torch"):
    # Their libraries are imported once, before warnings are errors: those are not ours to mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("transformers.modeling_utils")
else:
    collect_ignore_glob = ["*/in_quantize/*"]


@pytest.fixture(scope="session")
def plan() -> Plan:
    """The test plan: all seven variants of the reference model, on a port of its own."""
    return load_plan(str(PLAN))


@pytest.fixture(scope="session")
def service(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Quantize, deploy, and take down at the end; gives the service's address."""
    variables = {**os.environ, "ASSAY_RUN_DIR": str(tmp_path_factory.mktemp("run"))}

    def run(*command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "deploy", *command], check=True, cwd=ROOT, env=variables
        )

    run("quantize", "--plan", str(PLAN))
    try:
        run("up", "--plan", str(PLAN))
        yield f"http://{plan.serving.host}:{plan.serving.port}"
    finally:
        run("down")
