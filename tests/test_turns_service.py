"""A real service of two variants with room for one: both answer behind one address, in turns.

covers: services/deployments.py, deploy/ray_cluster/cluster.py
"""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from openai import OpenAI

from deploy.plan import load_plan
from quantize.root import ROOT
from services.engine.child import MARK
from tests.assay_command import ASSAY

pytestmark = pytest.mark.engine
PLAN = Path(__file__).parent / "turns_plan.yaml"
VARIANTS = load_plan(str(PLAN)).variants


def run(folder: Path, *command: str) -> str:
    variables = {**os.environ, "ASSAY_RUN_DIR": str(folder)}
    done = subprocess.run(
        [*ASSAY, *command], check=True, cwd=ROOT, env=variables, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("turns")


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[str]:
    """What `up` said."""
    try:
        yield run(folder, "up", "--plan", str(PLAN))
    finally:
        run(folder, "down")
    assert engines(folder) == []


@pytest.fixture(scope="module")
def url(told: str) -> str:
    assert "residency: turns" in told
    return load_plan(str(PLAN)).serving.url


def engines(folder: Path) -> list[str]:
    """The variants whose engine runs for the service of this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            variables, words = process.environ(), process.cmdline()
        except psutil.Error:
            continue
        if MARK in variables and variables.get("ASSAY_RUN_DIR") == str(folder):
            found += [word for word in words if word in VARIANTS]
    return found


def test_each_was_proven_before_it_was_said_to_be_up(url: str, folder: Path) -> None:
    variants = httpx.get(f"{url}/healthz", timeout=30).json()["variants"]
    assert {it["agreement"]["state"] for it in variants.values()} == {"agrees"}
    assert sorted(it["state"] for it in variants.values()) == ["asleep", "ready"]
    assert len(engines(folder)) == 1
    assert "asleep" in run(folder, "status")


def test_all_that_are_asked_at_once_answer_and_one_is_awake_at_a_time(
    url: str, folder: Path
) -> None:
    def ask(name: str, stream: bool) -> str:
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            if not stream:
                whole = client.completions.create(model=name, prompt="The capital of", max_tokens=8)
                return whole.choices[0].text
            events = client.completions.create(
                model=name, prompt="The capital of", max_tokens=8, stream=True
            )
            return "".join(event.choices[0].text for event in events if event.choices)

    asked = [(name, stream) for name in VARIANTS for stream in (False, True)] * 2
    with ThreadPoolExecutor(len(asked)) as pool:
        waiting = [pool.submit(ask, *question) for question in asked]
        most = 0
        while not all(answer.done() for answer in waiting):
            most = max(most, len(engines(folder)))
        assert all(answer.result() for answer in waiting)
    assert most == 1
    text = httpx.get(f"{url}/metrics", timeout=30).text
    assert all(f'assay_variant_up{{variant="{name}"}} 1.0' in text for name in VARIANTS)


def test_it_is_not_measured(url: str) -> None:
    variables = {**os.environ, "ASSAY_RUN_DIR": str(PLAN.parent / "nowhere")}
    done = subprocess.run(
        [*ASSAY, "loadtest", "--plan", str(PLAN)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "takes turns at being awake" in done.stdout + done.stderr
