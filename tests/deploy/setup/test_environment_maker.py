"""Environments are made by the real uv, of a source distribution made here, without an index.

covers: deploy/setup/source_builds.py
"""

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.setup import environment_maker, environments, source_builds, steps, system_resolution
from deploy.setup.builds import Build
from deploy.setup.environment_maker import EnvironmentMaker
from deploy.setup.environments import MARKER, Environment, SetupError, base_python
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.sdist import CONVERTER, main_file
from deploy.setup.source_builds import wheel_key
from deploy.setup.steps import Steps
from quantize.root import VENVS

PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
BACKEND = """
import os, zipfile
def build_wheel(folder, *_):
    with open(os.environ["TINY_BUILDS"], "a") as stream:
        stream.write(os.environ["CMAKE_ARGS"] + "\\n")
    with zipfile.ZipFile(os.path.join(folder, "tiny-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.py", "made_with = %r" % os.environ["CMAKE_ARGS"])
        info = "tiny-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        tags = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\n" + tags)
        wheel.writestr(info + "RECORD", "")
    return "tiny-1.0-py3-none-any.whl"
def prepare_metadata_for_build_wheel(folder, *_):
    os.mkdir(os.path.join(folder, "tiny-1.0.dist-info"))
    with open(os.path.join(folder, "tiny-1.0.dist-info", "METADATA"), "w") as stream:
        stream.write("Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    return "tiny-1.0.dist-info"
"""
TINY = Environment(
    name="tiny",
    build_settings=(("CMAKE_ARGS", "-DCPU"),),
    cuda_settings=(("CMAKE_ARGS", "-DCUDA={architectures}"),),
    converter="tiny==1.0",
)


def write_sdist(folder: Path) -> None:
    files = {
        "PKG-INFO": METADATA,
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        f"{CONVERTER.root}{CONVERTER.main}": "print('converts')",
    }
    with tarfile.open(folder / "tiny-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``.venvs`` with pins for one environment, and a wheelhouse that holds its source."""
    for name in ("venvs", "pins", "wheelhouse"):
        (tmp_path / name).mkdir()
    write_sdist(tmp_path / "wheelhouse")
    (tmp_path / "pins" / "tiny.txt").write_text("tiny==1.0\n")
    (tmp_path / "pins" / "overrides.txt").write_text("")
    for module in (environments, environment_maker, source_builds, steps, system_resolution):
        monkeypatch.setattr(module, "VENVS", tmp_path / "venvs", raising=False)
    monkeypatch.setattr(source_builds, "WHEELS", tmp_path / "venvs" / "wheels")
    monkeypatch.setattr(environments, "PINS", tmp_path / "pins")
    monkeypatch.setattr(sys, "executable", base_python())
    monkeypatch.setattr(steps, "uv_outside", lambda: str(VENVS / "control" / "bin" / "uv"))
    monkeypatch.setenv("TINY_BUILDS", str(tmp_path / "builds"))
    return tmp_path


def maker(house: Path, build: Build | None = None) -> EnvironmentMaker:
    return EnvironmentMaker(Steps(installer_environment(house / "wheelhouse")), build or Build())


def test_a_compiled_wheel_is_kept_for_the_same_settings_and_made_anew_for_others(
    house: Path,
) -> None:
    for _ in range(2):
        maker(house).make(TINY)
        assert (house / "builds").read_text() == "-DCPU\n"
    home = house / "venvs" / "tiny"
    assert json.loads((home / MARKER).read_text())["build"] == "cpu"
    assert main_file(home, CONVERTER).is_file()
    maker(house, Build(name="cuda13", llama_cuda="90")).make(TINY)
    assert (house / "builds").read_text() == "-DCPU\n-DCUDA=90\n"
    assert json.loads((home / MARKER).read_text())["build"] == "cuda-90"
    (made,) = (home / "lib").glob("python3*/site-packages/tiny.py")
    assert made.read_text() == "made_with = '-DCUDA=90'"


def test_an_environment_that_cannot_load_what_it_needs_is_not_finished(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("tiny", "tiny_kernels", "json")
    monkeypatch.setattr(environment_maker, "proofs_of", lambda *_: words)
    with pytest.raises(SetupError, match=r"'tiny' cannot load(.|\n)*tiny_kernels: ModuleNotFound"):
        maker(house).make(TINY)
    assert not (house / "venvs" / "tiny" / MARKER).exists()


def test_a_wheel_is_known_by_its_source_and_by_what_decides_how_it_is_compiled() -> None:
    key = wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DA", "HOME": "/a"})
    assert key == wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DA", "HOME": "/b"})
    assert key != wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DB"})
    assert key != wheel_key("tiny==1.1", {"CMAKE_ARGS": "-DA"})


def test_the_distributions_own_compilers_are_taken() -> None:
    assert all(os.access(path, os.X_OK) for path in source_builds.system_compilers().values())
