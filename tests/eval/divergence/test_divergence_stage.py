"""Passes are kept, made again and left out; what is kept is compared.

covers: eval/divergence/compare_run.py, eval/divergence/scored_tokens.py,
    eval/divergence/divergence_figures.py
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eval.divergence.divergence_stage as module
from deploy.plan import Plan
from eval.divergence.asked_texts import AskedText
from eval.divergence.asking import DivergenceError, Target
from eval.divergence.compare_run import (
    attribute_divergence,
    compare_divergence,
    current_scores,
)
from eval.divergence.divergence_figures import WHOLE, Divergence
from eval.divergence.divergence_stage import read_divergence, run_divergence
from eval.divergence.scored_tokens import ScoredTokens
from loadtest.endpoint import ReadyHealth
from loadtest.intervals import Estimate
from quantize.source.source_model import REFERENCE_WEIGHTS
from tests.eval.divergence.plans import own
from tests.eval.divergence.scored import normal, told

BASE, PLAIN, OTHER = "bf16-vllm", "gguf-bf16", "gguf-q8_0"
ARTIFACTS = {BASE: "a", PLAIN: "c", OTHER: "b"}


class Endpoints:
    """What stands for the endpoints: every variant scores the texts with some noise of its own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.capabilities: tuple[str, ...] = ("echo_logprobs", "token_ids")

    def health(self, _url: str, name: str) -> ReadyHealth:
        return ReadyHealth(
            variant=name,
            state="ready",
            engine_version="1",
            artifact_sha256=ARTIFACTS[name],
            capabilities=self.capabilities,
        )

    def score(self, target: Target, texts: Sequence[AskedText]) -> ScoredTokens:
        if target.variant in self.silent:
            raise DivergenceError(f"{target.variant}: no answer")
        self.asked.append(target.variant)
        text = np.repeat(np.arange(len(texts)), [len(it.ids) - 1 for it in texts])
        logits = np.random.default_rng(0).normal(0, 2, (len(text), 30))
        noise = np.random.default_rng(len(self.asked)).normal(0, 0.01, logits.shape)
        far = 0.3 * np.random.default_rng(1).normal(0, 1, logits.shape)
        moved = far if target.variant == OTHER else 0.0
        found = told(normal(logits + noise + moved), np.zeros(len(text), int), text)
        return replace(found, answers=np.ones((1, 4), np.int32), answer_text=np.zeros(1, np.int32))


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    fake = Endpoints()
    monkeypatch.setattr(module, "read_health", fake.health)
    monkeypatch.setattr(module, "score_texts", fake.score)
    monkeypatch.setattr(module, "source_folder", lambda _: REFERENCE_WEIGHTS)
    return fake


def compared(run_dir: Path, artifacts: dict[str, str]) -> dict[str, dict[str, Divergence]]:
    scores = current_scores(run_dir, BASE, artifacts)
    return compare_divergence(run_dir, BASE, scores, 0.95)


def attributed(run_dir: Path, artifacts: dict[str, str]) -> dict[str, dict[str, Estimate]]:
    scores = current_scores(run_dir, BASE, artifacts)
    return attribute_divergence(BASE, scores, {OTHER: PLAIN}, 0.95)


@pytest.fixture
def plan() -> Plan:
    return own(12).model_copy(update={"variants": (BASE, OTHER)})


def test_the_baseline_is_asked_twice_and_finished_passes_are_kept(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    run_divergence(plan, tmp_path, tell=lambda _: None)
    assert endpoints.asked == [BASE, OTHER, BASE]
    run_divergence(plan, tmp_path, tell=lambda _: None)
    assert len(endpoints.asked) == 3


def test_a_run_is_compared_by_what_it_kept(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    run_divergence(plan, tmp_path, tell=lambda _: None)
    found = compared(tmp_path, ARTIFACTS)
    assert set(found) == {OTHER}
    whole = found[OTHER][WHOLE]
    assert whole.texts == 12
    assert whole.floor is not None
    assert whole.kl.value > 10 * whole.floor.kl > 0
    assert whole.answers is not None
    assert whole.answers.same.value == 1


def test_what_the_engine_and_what_the_recipe_diverge_by_is_told_apart(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    three = plan.model_copy(update={"variants": (BASE, PLAIN, OTHER)})
    run_divergence(three, tmp_path, tell=lambda _: None)
    shares = attributed(tmp_path, ARTIFACTS)[OTHER]
    assert shares["divergence_recipe"].value > 10 * shares["divergence_engine"].value > 0
    assert attributed(tmp_path, {**ARTIFACTS, PLAIN: "new"}) == {}


def test_scores_of_another_artifact_or_of_other_texts_are_compared_with_nothing(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    run_divergence(plan, tmp_path, tell=lambda _: None)
    assert compared(tmp_path, {BASE: "a", OTHER: "new"}) == {}
    fewer = plan.model_copy(update={"quality": own(11).quality})
    run_divergence(fewer, tmp_path, passes=[(BASE, False)], tell=lambda _: None)
    assert compared(tmp_path, ARTIFACTS) == {}


def test_a_variant_that_does_not_answer_is_told_and_the_others_go_on(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    endpoints.silent = {BASE}
    said: list[str] = []
    run_divergence(plan, tmp_path, tell=said.append)
    assert endpoints.asked == [OTHER]
    assert read_divergence(tmp_path, BASE) is None
    assert any(f"{BASE}: divergence: left out" in line for line in said)


def test_an_endpoint_that_cannot_score_is_not_asked(
    endpoints: Endpoints, plan: Plan, tmp_path: Path
) -> None:
    endpoints.capabilities = ("token_ids",)
    said: list[str] = []
    run_divergence(plan, tmp_path, tell=said.append)
    assert endpoints.asked == []
    assert "has not echo_logprobs" in said[0]


def test_a_plan_may_leave_it_out(endpoints: Endpoints, tmp_path: Path) -> None:
    run_divergence(own(0), tmp_path, tell=lambda _: None)
    assert endpoints.asked == []
