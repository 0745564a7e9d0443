"""The installer: what it refuses before minutes are spent, and the builds that it chooses."""

import shutil
from pathlib import Path

import pytest

from deploy.setup import environments, installer
from deploy.setup.builds import Build
from deploy.setup.environments import ENVIRONMENTS, SetupError, record_build, recorded_build
from deploy.setup.findings import Findings
from deploy.setup.installer import check_system, choose
from quantize.machine import parse_gpus
from tests.deploy.setup.machines import QUERIES


def test_a_missing_compiler_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SetupError, match="build-essential"):
        check_system([ENVIRONMENTS["llamacpp"]], Build())


def test_too_little_disk_is_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installer, "FREE_GIB", 10**9)
    with pytest.raises(SetupError, match="GiB free"):
        check_system([ENVIRONMENTS["control"]], Build())
    check_system([], Build())


@pytest.fixture
def gpu_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(parse_gpus(QUERIES["h200-x2"]))
    found = Findings(processor="x86_64", gpus=gpus, driver="580.95.05", cuda_major=13)
    monkeypatch.setattr(installer, "look", lambda _python: found)
    monkeypatch.setattr(environments, "VENVS", tmp_path)


@pytest.mark.usefixtures("gpu_machine")
def test_what_was_found_and_is_taken_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(None, None).name == "cuda13"
    told = capsys.readouterr().out
    assert told.startswith("set-up: 2 x NVIDIA H200 (compute capability 9.0, 140 GiB), driver 580")
    assert "engines: CUDA 13 builds\n" in told
    assert "llama.cpp: CPU build (CUDA's compiler nvcc is not on the PATH)\n" in told


@pytest.mark.usefixtures("gpu_machine")
def test_what_was_asked_for_stays_until_auto_is() -> None:
    record_build(choose("cpu", None))
    assert choose(None, None).name == "cpu"
    record_build(choose("auto", None))
    assert recorded_build().name == choose(None, None).name == "cuda13"


@pytest.mark.usefixtures("gpu_machine")
def test_a_build_that_cannot_run_here_is_refused() -> None:
    with pytest.raises(SetupError, match="no torch"):
        choose("system-torch", None)


@pytest.mark.usefixtures("gpu_machine")
def test_a_folder_that_cannot_be_written_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody may make a folder there, root neither.
    monkeypatch.setattr(installer, "VENVS", Path("/sys/venvs"))
    assert installer.main(["control"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("set-up: /sys/venvs cannot be written (")
    assert told.count("\n") == 1
