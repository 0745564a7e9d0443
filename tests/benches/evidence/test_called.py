"""What the statistics call, and how a defect is planted.

covers: tests/benches/evidence/planted.py, tests/benches/evidence/planted_defects.py,
    tests/benches/evidence/planted_pass.py, tests/benches/evidence/relay.py
"""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.divergence.scored_tokens import ScoredTokens
from eval.outcomes import Outcome
from eval.samples import Sample
from tests.benches.evidence.called import Found, judge
from tests.benches.evidence.planted import NAMES, figures
from tests.benches.evidence.planted_defects import Defect, defects, one_end
from tests.benches.evidence.planted_pass import Pass
from tests.eval.divergence.scored import normal, told
from tests.eval.run_on_disk import answers, flipped

RIGHT = [True] * 140 + [False] * 60
DEFECTS = {it.name: it for it in defects(NAMES)}


def scored(shift: float = 0.0) -> ScoredTokens:
    rng = np.random.default_rng(0)
    text = np.repeat(np.arange(20), 30)
    logits = rng.normal(0, 2, (len(text), 40))
    chosen = rng.integers(0, 40, len(text))
    logits[np.arange(len(text)), chosen] -= shift
    return told(normal(logits), chosen, text)


def made(right: list[bool] = RIGHT, tokens: int = 40, shift: float = 0) -> Pass:
    samples: list[Sample] = []
    for it in answers("t", right):
        outcome: Outcome = "right" if it.correct else "wrong"
        samples.append(replace(it, output_tokens=tokens + it.item % 5, outcome=outcome))
    return Pass(samples=samples, scored=scored(shift))


def judged(mine: Pass) -> Found:
    return judge(mine, made(), made())


def test_the_baseline_itself_is_called_by_nothing() -> None:
    found = judged(made())
    assert found.called == ()
    assert not found.by_accuracy


def test_each_statistic_calls_what_it_is_for() -> None:
    assert judged(made(shift=0.1)).called == ("divergence",)
    assert judged(made(tokens=50)).called == ("length",)
    assert judged(made(flipped(RIGHT, 15, 0))).called == ("flips",)


def test_bare_accuracy_calls_large_losses_alone() -> None:
    assert not judged(made(flipped(RIGHT, 15, 0))).by_accuracy
    assert judged(made(flipped(RIGHT, 60, 0))).by_accuracy


def test_a_defect_that_is_not_called_and_a_call_without_one_miss_their_limits() -> None:
    quiet, loud = judged(made()), judged(made(shift=0.1))
    met = {it.name: it.met for it in figures({"nothing planted": loud, "one": quiet, "two": loud})}
    assert met == {
        "called: one": False,
        "called: two": True,
        "called where nothing is planted": False,
        "called by bare accuracy": True,
    }


def test_prompts_lose_what_a_defect_takes_from_them() -> None:
    body = {"prompt": [[1, 5, 300, 7], [1, 9]]}
    assert DEFECTS["wrong BOS"].asked(body)["prompt"] == [[2, 5, 300, 7], [2, 9]]
    assert DEFECTS["wrong chat template"].asked({"prompt": [1, 5, 300, 7]})["prompt"] == [1, 300]


def test_only_written_answers_get_longer() -> None:
    answer = {"choices": [{"text": "a", "logprobs": None}, {"text": "b", "logprobs": {}}]}
    texts = [it["text"] for it in DEFECTS["longer at equal accuracy"].answered(answer)["choices"]]
    assert texts[0].endswith("a")
    assert len(texts[0]) > 10
    assert texts[1] == "b"


def test_an_end_token_is_forgotten_in_the_artifacts_own_words(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    one_end(tmp_path, 2)
    content = json.loads((tmp_path / "generation_config.json").read_text())
    assert content == {"eos_token_id": 2}


def test_every_defect_changes_something() -> None:
    plain = Defect(name="none")
    for defect in DEFECTS.values():
        named = dataclasses.replace(defect, name=plain.name)
        assert named != plain
