"""An engine is known by the distributions that its spec names."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy import settings
from deploy.plan import load_plan
from deploy.plan_variants import Limits
from deploy.service import DeployError
from deploy.settings import engine_version, serving_identity
from quantize.validity.code_hash import imported_modules
from services.engines.table import ENGINES
from tests.services.engine.test_child import spec


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "VENVS", tmp_path)
    folder = tmp_path / "control" / "lib" / "python3.11" / "site-packages"
    for name in ("My_Engine-2.5.dist-info", "torch-2.0.dist-info"):
        (folder / name).mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name.split('-')[0]}\nVersion: 2.5\n"
        (folder / name / "METADATA").write_text(metadata)
    return folder


def test_a_version_is_found_however_the_distribution_spells_its_name(packages: Path) -> None:
    engine = replace(spec(), distributions=("other-engine", "my-engine"))
    assert packages.is_dir()
    assert engine_version(engine) == ("my-engine", "2.5")


def test_an_environment_without_its_engine_names_the_remedy(packages: Path) -> None:
    assert packages.is_dir()
    with pytest.raises(DeployError, match=r"'control' holds no Fake \(aiohttp\): run `make setup`"):
        engine_version(spec())


def test_every_engine_names_its_distributions_as_they_are_compared() -> None:
    for engine in ENGINES.values():
        assert engine.distributions
        assert all(name == settings._normalized(name) for name in engine.distributions)


def test_how_a_variant_is_served_is_another_when_its_limits_or_our_code_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = load_plan("cpu-demo")
    first, *others = plan.variants
    same = serving_identity(plan, first)
    assert {serving_identity(plan, name) for name in others if name not in plan.limits} <= {same}
    elsewhere = plan.serving.model_copy(update={"port": 9999})
    assert serving_identity(plan.model_copy(update={"serving": elsewhere}), first) == same
    limited = {first: Limits(max_sequences=1)}
    assert serving_identity(plan.model_copy(update={"limits": limited}), first) != same
    monkeypatch.setattr(settings, "code_sha256", lambda *_: "c0de")
    assert serving_identity(plan, first) != same


def test_the_code_that_answers_holds_the_servers_in_the_engines_own_environments() -> None:
    found = set(imported_modules(*settings._ANSWERING))
    assert {
        "services.http.relay",
        "services.server.in_llamacpp.llamacpp_backend",
        "services.server.in_quantize.transformers_backend",
        "services.engines.in_vllm.vllm_extension",
        "services.engines.in_vllm.vllm_server",
        "quantize.emulation.in_quantize.emulation",
    } <= found
    assert not any(name.startswith(("deploy", "loadtest", "eval")) for name in found)
