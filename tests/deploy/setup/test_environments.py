"""The environments: their pins, what makes one finished, and pip's settings said again to uv.

covers: deploy/setup/pip_configuration.py
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.setup import environments
from deploy.setup.environments import (
    DEFAULT,
    ENVIRONMENTS,
    PINS,
    is_finished,
)
from deploy.setup.pip_configuration import parse_pip_config, torch_backend, uv_settings
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


def test_every_requirement_is_pinned_and_names_no_host() -> None:
    for path in PINS.glob("*.txt"):
        if path.name == "overrides.txt":
            continue
        for line in path.read_text().splitlines():
            assert "==" in line, f"{path.name}: {line}"
            assert "://" not in line, f"{path.name}: {line}"


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
    assert torch_backend({"UV_NO_INDEX": "1"}) == []
