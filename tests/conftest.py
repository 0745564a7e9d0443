"""One real service for all tests that need engines; which tests share a worker; no silent skips."""

import importlib.util
import os
import subprocess
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from deploy.plan import Plan, load_plan
from quantize.root import ROOT
from tests.assay_command import ASSAY

PLAN = Path(__file__).parent / "plan.yaml"
# Where every tool is expected (CI), a test that cannot run has failed.
NO_SKIPS = "ASSAY_NO_SKIPS"

# Tests in a folder ``in_quantize`` need torch; test_in_quantize.py runs them where it is.
collect_ignore_glob: list[str] = []
if importlib.util.find_spec("torch"):
    # Their libraries are imported once, before warnings are errors: those are not ours to mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("transformers.modeling_utils")
else:
    collect_ignore_glob = ["*/in_quantize/*"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests, modules that take long come first: the quick ones fill up."""
    if hasattr(config, "workerinput"):  # which pytest-xdist gives to its workers
        slow = {item.path for item in items if item.get_closest_marker("long")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where no test may be skipped; its reason names the remedy."""
    report = yield
    if report.skipped and NO_SKIPS in os.environ and not item.get_closest_marker("optional"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped under {NO_SKIPS}: {reason}"
    return report


@pytest.fixture(scope="session")
def plan() -> Plan:
    """The test plan: all seven variants of the reference model, on a port of its own."""
    return load_plan(str(PLAN))


@pytest.fixture(scope="session")
def service(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Quantize, deploy, and take down at the end; gives the service's address."""
    variables = {**os.environ, "ASSAY_RUN_DIR": str(tmp_path_factory.mktemp("run"))}

    def run(*command: str) -> None:
        subprocess.run([*ASSAY, *command], check=True, cwd=ROOT, env=variables)

    try:
        run("up", "--plan", str(PLAN))
        yield f"http://{plan.serving.host}:{plan.serving.port}"
    finally:
        run("down")
