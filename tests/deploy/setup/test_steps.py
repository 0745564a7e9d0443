"""The steps of set-up: whose uv runs them, and what is said of one that fails."""

import os
import shutil
from pathlib import Path

import pytest

from deploy.setup import steps
from deploy.setup.environments import SetupError
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.steps import Steps, uv_outside
from quantize.root import VENVS


def test_the_uv_of_an_environment_is_not_what_remakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = VENVS / "control" / "bin" / "uv"
    monkeypatch.setattr(shutil, "which", lambda _name: str(inside))
    assert uv_outside() is None
    monkeypatch.setattr(shutil, "which", lambda _name: "/opt/uv")
    assert uv_outside() == "/opt/uv"


def test_a_step_that_fails_tells_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "VENVS", tmp_path)
    monkeypatch.setattr(steps, "uv_outside", lambda: "/opt/uv")
    log = tmp_path / "logs" / "step.log"
    with pytest.raises(SetupError, match="no such wheel"):
        Steps(os.environ).run(["sh", "-c", "echo no such wheel; exit 3"], log)
    assert log.read_text().startswith("$ sh -c")


def test_uv_is_told_to_take_no_index_where_pip_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "VENVS", tmp_path)
    monkeypatch.setattr(steps, "uv_outside", lambda: "/opt/uv")
    assert Steps({"PATH": "/bin"}).uv_words == []
    assert Steps(installer_environment(tmp_path)).uv_words == ["--no-index"]
