"""The installer: what it refuses before minutes are spent."""

import shutil

import pytest

from deploy.setup import installer
from deploy.setup.environments import ENVIRONMENTS, SetupError
from deploy.setup.installer import check_system, uv_outside
from quantize.root import VENVS


def test_a_missing_compiler_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SetupError, match="build-essential"):
        check_system([ENVIRONMENTS["llamacpp"]])


def test_too_little_disk_is_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installer, "FREE_GIB", 10**9)
    with pytest.raises(SetupError, match="GiB free"):
        check_system([ENVIRONMENTS["control"]])
    check_system([])


def test_the_uv_of_an_environment_is_not_what_remakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = VENVS / "control" / "bin" / "uv"
    monkeypatch.setattr(shutil, "which", lambda _name: str(inside))
    assert uv_outside() is None
    monkeypatch.setattr(shutil, "which", lambda _name: "/opt/uv")
    assert uv_outside() == "/opt/uv"
