"""Environments are made by the real uv, of a source distribution made here, without an index.

covers: deploy/setup/source_builds.py
"""

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.setup import environment_maker, source_builds
from deploy.setup.builds import Build
from deploy.setup.environment_maker import EnvironmentMaker, including
from deploy.setup.environments import ENVIRONMENTS, MARKER, SetupError
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.sdist import CONVERTER, main_file
from deploy.setup.source_builds import wheel_key
from deploy.setup.steps import Steps
from deploy.setup.system_torch import SystemPython
from tests.deploy.setup.tiny import TINY


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


def test_an_environment_beside_a_torch_sees_that_python_behind_its_own(house: Path) -> None:
    theirs = house / "theirs" / "site-packages"
    theirs.mkdir(parents=True)
    for name in ("torch", "tiny"):
        (theirs / f"{name}.py").write_text("whose = 'theirs'\n")
    system = SystemPython(
        executable="/p", folders=(str(theirs),), packages={"torch": "2.11.0", "numpy": "2.5.2"}
    )
    environment = replace(TINY, torch=True, converter=None, cuda_settings=())
    build = Build(name="system-torch", system=system)
    maker(house, build).make(environment)
    home = house / "venvs" / "tiny"
    assert json.loads((home / MARKER).read_text())["build"] == "system-torch"
    code = "import tiny, torch; print(torch.whose, tiny.made_with)"
    done = subprocess.run([home / "bin" / "python", "-c", code], capture_output=True, text=True)
    assert done.stdout == "theirs -DCPU\n", done.stderr


def test_a_wheel_is_known_by_its_source_and_by_what_decides_how_it_is_compiled() -> None:
    key = wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DA", "HOME": "/a"})
    assert key == wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DA", "HOME": "/b"})
    assert key != wheel_key("tiny==1.0", {"CMAKE_ARGS": "-DB"})
    assert key != wheel_key("tiny==1.1", {"CMAKE_ARGS": "-DA"})


def test_the_distributions_own_compilers_are_taken() -> None:
    assert all(os.access(path, os.X_OK) for path in source_builds.system_compilers().values())


def test_of_llama_cpp_only_the_library_is_compiled_whatever_the_package_forces(
    tmp_path: Path,
) -> None:
    found = including(ENVIRONMENTS["llamacpp"], {"CMAKE_ARGS": "-DLLAVA_BUILD=OFF"})
    first, word = shlex.split(found["CMAKE_ARGS"])
    assert first == "-DLLAVA_BUILD=OFF"
    assert including(TINY, {}) == {}
    if (cmake := shutil.which("cmake")) is None:
        pytest.skip("no CMake")
    inner = tmp_path / "vendor"
    inner.mkdir()
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(llama_cpp NONE)\n"
        'set(LLAMA_BUILD_COMMON ON CACHE BOOL "" FORCE)\nadd_subdirectory(vendor)\n'
    )
    (inner / "CMakeLists.txt").write_text(
        'cmake_minimum_required(VERSION 3.14...3.28)\nproject("llama.cpp" NONE)\n'
        'option(LLAMA_BUILD_COMMON "" OFF)\nmessage(STATUS "common=${LLAMA_BUILD_COMMON}")\n'
    )
    command = [cmake, "-S", str(tmp_path), "-B", str(tmp_path / "build")]
    for words, told in (([], "common=ON"), ([word], "common=OFF")):
        done = subprocess.run([*command, *words], capture_output=True, text=True)
        assert told in done.stdout, done.stderr
