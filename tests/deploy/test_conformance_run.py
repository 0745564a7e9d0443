"""The conformance command chooses a variant of the engine, and refuses what cannot run here.

covers: quantize/source/in_quantize/reference_scores.py, quantize/source/scores_job.py
"""

import pytest

from deploy import conformance_run as conformance
from deploy import machine_check
from deploy.conformance_run import ConformanceError, choose_variant, run_conformance
from deploy.plan import PlanError, load_plan
from quantize.machine import Machine
from services.engine.conformance import Finding
from services.engines.table import ENGINES


def test_the_plans_own_variant_is_taken_before_the_plain_one() -> None:
    plan = load_plan("cpu-demo", variants="gguf-q4_k_m")
    assert choose_variant("llamacpp", plan).name == "gguf-q4_k_m"
    assert choose_variant("trtllm", plan).name == "bf16-trtllm"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_a_variant_with_sixteen_bit_weights(engine: str) -> None:
    assert choose_variant(engine, load_plan("cpu-demo")).recipe.bits == 16


def test_an_unknown_engine_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(PlanError, match=r"unknown engine 'vlm' .*vllm, trtllm"):
        choose_variant("vlm", load_plan("cpu-demo"))


def test_an_engine_that_needs_another_machine_is_refused_before_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine_check, "probe_machine", lambda: Machine(device="cpu", name="CPU"))
    with pytest.raises(PlanError, match="bf16-trtllm needs an NVIDIA GPU"):
        run_conformance("trtllm", load_plan("cpu-demo"), print)


def test_one_failed_check_fails_the_command_after_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(*_arguments: object) -> list[Finding]:
        return [Finding(check="models", failure=None), Finding(check="usage", failure="3 of 5")]

    monkeypatch.setattr(conformance, "_check", found)
    said: list[str] = []
    monkeypatch.setattr(conformance, "make_artifacts", lambda *_: None)
    monkeypatch.setattr(conformance, "check_machine", lambda _plan: None)
    with pytest.raises(ConformanceError, match="failed 1 check"):
        run_conformance("llamacpp", load_plan("cpu-demo"), said.append)
    assert "FAIL  usage" in "\n".join(said)
