"""Engines are asked which architectures they serve; an answer is kept.

covers: services/engines/in_quantize/model_check.py, services/engines/in_vllm/model_check.py,
services/engines/model_question.py
"""

import json
from pathlib import Path
from typing import Any

import pytest

import services.known_models as module
from quantize.source.source_model import REFERENCE_WEIGHTS
from services.engines.model_question import first_sentence
from services.engines.table import ENGINES
from services.known_models import why_unknown, why_unserved


def configuration(architecture: str, model_type: str) -> dict[str, Any]:
    known = json.loads((REFERENCE_WEIGHTS / "config.json").read_text())
    return {**known, "architectures": [architecture], "model_type": model_type}


def never(*_asked: Any, **_more: Any) -> Any:
    raise AssertionError("an engine was asked again")


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_an_engine_itself_says_which_architecture_it_does_not_serve(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ENGINES[engine]
    foreign = configuration("FooForCausalLM", "foo")
    why = why_unknown(spec, foreign, tmp_path)
    assert why is not None
    assert why.startswith(f"{spec.title} does not serve FooForCausalLM (The checkpoint you are")
    assert "model type `foo`" in why
    monkeypatch.setattr(module, "run_job", never)
    assert why_unknown(spec, foreign, tmp_path) == why


def test_an_architecture_that_recipes_do_not_know_may_well_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helium = configuration("HeliumForCausalLM", "helium")
    assert why_unknown(ENGINES["transformers"], helium, tmp_path) is None
    monkeypatch.setattr(module, "run_job", never)
    assert why_unknown(ENGINES["transformers"], helium, tmp_path) is None


def test_a_model_that_writes_no_text_is_none_that_transformers_serves(tmp_path: Path) -> None:
    why = why_unknown(ENGINES["transformers"], configuration("ViTModel", "vit"), tmp_path)
    assert why == "transformers does not serve ViTModel (it has no language model of type 'vit')"


def test_known_architectures_and_engines_without_an_answer_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_job", never)
    known = configuration("LlamaForCausalLM", "llama")
    assert why_unknown(ENGINES["vllm"], known, tmp_path) is None
    foreign = configuration("FooForCausalLM", "foo")
    assert why_unknown(ENGINES["llamacpp"], foreign, tmp_path) is None


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"vllm": "no", "transformers": "neither"}, "no; neither"),
        ({"vllm": "no", "transformers": None}, None),
    ],
)
def test_a_model_is_unserved_only_where_every_installed_engine_refuses_it(
    answers: dict[str, str | None], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "why_unknown", lambda engine, _: answers[engine.name])
    monkeypatch.setattr(module, "_version", lambda it: "1" if it.name in answers else None)
    assert why_unserved("bf16", configuration("FooForCausalLM", "foo")) == told
    monkeypatch.setattr(module, "_version", lambda _: None)
    assert why_unserved("bf16", configuration("FooForCausalLM", "foo")) is None


def test_of_an_engines_message_only_what_it_says_is_told() -> None:
    assert first_sentence("Value error, it is\n unknown. You can update it") == "it is unknown"
