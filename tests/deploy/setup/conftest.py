"""An empty house for environments, and a wheelhouse with one source in it."""

import sys
from pathlib import Path

import pytest

from deploy.setup import (
    environment_maker,
    environments,
    source_builds,
    steps,
    system_resolution,
    wheel_collector,
)
from deploy.setup.environments import base_python
from quantize.root import VENVS
from tests.deploy.setup.tiny import TINY, write_sdist


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``.venvs`` with pins for one environment, and a wheelhouse that holds its source."""
    for name in ("venvs", "pins", "wheelhouse"):
        (tmp_path / name).mkdir()
    write_sdist(tmp_path / "wheelhouse")
    for name in ("tiny.in", "tiny.txt"):
        (tmp_path / "pins" / name).write_text("tiny==1.0\n")
    (tmp_path / "pins" / "overrides.txt").write_text("")
    modules = (environments, environment_maker, source_builds, steps, system_resolution)
    for module in (*modules, wheel_collector):
        monkeypatch.setattr(module, "VENVS", tmp_path / "venvs", raising=False)
    monkeypatch.setattr(source_builds, "WHEELS", tmp_path / "venvs" / "wheels")
    for module in (environments, system_resolution):
        monkeypatch.setattr(module, "PINS", tmp_path / "pins")
    monkeypatch.setitem(environments.ENVIRONMENTS, "tiny", TINY)
    monkeypatch.setattr(sys, "executable", base_python())
    monkeypatch.setattr(steps, "uv_outside", lambda: str(VENVS / "control" / "bin" / "uv"))
    monkeypatch.setenv("TINY_BUILDS", str(tmp_path / "builds"))
    return tmp_path
