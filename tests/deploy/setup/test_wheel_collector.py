"""Files are collected for another machine, and an environment is made of them without an index.

covers: deploy/setup/wheelhouse.py
"""

import io
import platform
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.setup import installer, wheel_collector, wheelhouse
from deploy.setup.builds import Build
from deploy.setup.environments import SetupError
from deploy.setup.installer import unpack
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.wheel_collector import build_requirements, leave_out, parse_choice
from deploy.setup.wheelhouse import Request, collect_wheelhouse, read_request
from deploy.setup.wheelhouse_parts import Target
from tests.deploy.setup.machines import PACKAGES
from tests.deploy.setup.tiny import write_sdist

PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "a"
version = "1.0"
wheels = [{ url = "https://files.example/a-1.0-py3-none-any.whl", hashes = { sha256 = "ab" } }]
[[packages]]
name = "b"
version = "2.0"
wheels = [{ path = "/wheels/b-2.0+cpu-py3-none-any.whl" }]
[[packages]]
name = "c"
version = "3.0"
sdist = { url = "https://files.example/c-3.0.tar.gz" }
"""
# As llama-cpp-python's.
COMPILED = """
[build-system]
requires = ["scikit-build-core[pyproject]>=0.9.2"]
build-backend = "scikit_build_core.build"
"""


def test_a_choice_is_addresses_and_what_is_source_alone() -> None:
    chosen = parse_choice(PYLOCK)
    assert chosen.wheels == (
        "https://files.example/a-1.0-py3-none-any.whl#sha256=ab",
        "file:///wheels/b-2.0%2Bcpu-py3-none-any.whl",
    )
    assert chosen.sources == ("c==3.0",)


def test_what_a_source_is_built_with_is_read_from_it(tmp_path: Path) -> None:
    write_sdist(tmp_path)
    assert build_requirements(tmp_path / "tiny-1.0.tar.gz") == []
    path = tmp_path / "old-1.0.tar.gz"
    with tarfile.open(path, "w:gz"):
        pass
    assert build_requirements(path) == ["setuptools"]
    assert build_requirements(tmp_path / "older-1.0.zip") == ["setuptools"]


def test_what_compiles_a_source_travels_with_it_though_its_backend_asks_for_it_later(
    tmp_path: Path,
) -> None:
    path, text = tmp_path / "compiled-1.0.tar.gz", COMPILED.encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("compiled-1.0/pyproject.toml")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    assert build_requirements(path) == ["scikit-build-core[pyproject]>=0.9.2", "cmake", "ninja"]


def test_what_a_machine_does_not_use_is_left_out_by_name_or_pattern() -> None:
    pins = "numpy==2.3.5\nnvidia-cutlass-dsl-libs-cu13==4.6.0\ntilelang==0.1.9\n"
    assert leave_out(pins, ["tilelang", "nvidia-cutlass*"]) == "numpy==2.3.5\n"
    assert leave_out(pins, []) == pins


TARGET = Target(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    processor=platform.machine(),
    build="cpu",
    environments=("tiny",),
)


def test_what_is_pure_python_travels_built_and_is_installed_from_its_parts(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheelhouse, "VENVS", house / "venvs")
    monkeypatch.setattr(installer, "VENVS", house / "venvs")
    monkeypatch.setattr(wheel_collector, "UV_PIN", "tiny==1.0")
    settings = installer_environment(house / "wheelhouse") | {"CMAKE_ARGS": "-DOTHER"}
    monkeypatch.setattr(wheelhouse, "installer_environment", lambda _: settings)
    medium = house / "medium"
    collect_wheelhouse(Request(target=TARGET, build=Build(), output=medium, part_mb=1))
    (wheel,) = medium.glob("part-*/*")
    assert wheel.name == "tiny-1.0-py3-none-any.whl"
    joined, locks = unpack(medium, Build(), ["tiny"])
    assert (joined / wheel.name).is_file()
    assert locks["tiny"].read_text() == "tiny==1.0\n"
    with pytest.raises(SetupError, match="nothing for vllm"):
        unpack(medium, Build(), ["vllm"])
    (house / "pins" / "tiny.txt").write_text("tiny==1.1\n")
    with pytest.raises(SetupError, match="other pins"):
        unpack(medium, Build(), ["tiny"])
    assert unpack(house / "wheelhouse", Build(), ["tiny"]) == (house / "wheelhouse", {})


def test_a_request_names_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = tmp_path / "pip-list.txt"
    listing.write_text(PACKAGES)
    words = ["--python", "3.12", "--system", str(listing), "--envs", "vllm", "--part-mb", "58"]
    request = read_request([*words, "--without", "tilelang,nvidia-cutlass*"])
    target = request.target
    assert (target.build, target.python, target.environments) == ("system-torch", "3.12", ("vllm",))
    assert (request.build.system is not None, request.part_mb) == (True, 58)
    assert request.without == ("tilelang", "nvidia-cutlass*")
    assert read_request(["--cuda", "12"]).target.build == "cuda12"
    listing.write_text("torch==2.9.0\n")
    for wrong, said in {
        ("--envs", "nonsense"): "unknown: nonsense",
        ("--system", str(listing)): "names no torch that a vLLM fits (2.11, 2.13, 2.14)",
        ("--part-mb", "0"): "at least 1",
        ("--cuda", "12", "--processor", "aarch64"): "no CUDA 12 builds",
        ("--cuda", "13", "--without", "tilelang"): "only with --system",
    }.items():
        with pytest.raises(SystemExit):
            read_request(wrong)
        assert said in capsys.readouterr().err
