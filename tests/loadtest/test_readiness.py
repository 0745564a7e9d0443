"""A stage goes on without variants that are not ready, and never without its baseline."""

from pathlib import Path

import pytest

from deploy.plan import Plan, load_plan
from loadtest.endpoint import EndpointError
from loadtest.failures import read_failures, record_failure
from loadtest.readiness import ready_healths
from tests.fake_engine import running_engine


@pytest.fixture
def plan() -> Plan:
    plan = load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k")
    return plan.model_copy(update={"variants": ("gguf-q8_0", "bf16-vllm", "gguf-q2_k")})


def test_who_is_not_ready_is_told_and_who_is_has_no_earlier_failure(
    plan: Plan, tmp_path: Path
) -> None:
    record_failure(tmp_path, "gguf-q8_0", "deploy", "of yesterday")
    record_failure(tmp_path, "gguf-q8_0", "load test", "of another stage")
    told: dict[str, str] = {}
    with running_engine() as engine:
        engine.variants["gguf-q2_k"].state = "failed"
        found = ready_healths(plan, tmp_path, engine.url, "quality", told.__setitem__)
    assert list(found) == ["bf16-vllm", "gguf-q8_0"]
    assert list(told) == ["gguf-q2_k"]
    assert "is 'failed'" in told["gguf-q2_k"]
    assert read_failures(tmp_path, "gguf-q8_0") == {"load test": "of another stage"}


def test_a_baseline_that_is_not_ready_ends_the_stage(plan: Plan, tmp_path: Path) -> None:
    told: dict[str, str] = {}
    with running_engine() as engine:
        engine.variants["bf16-vllm"].state = "failed"
        with pytest.raises(EndpointError, match="bf16-vllm: is 'failed'"):
            ready_healths(plan, tmp_path, engine.url, "load test", told.__setitem__)
    assert told == {}
