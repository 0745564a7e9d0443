"""covers: eval/answering.py"""

from dataclasses import replace

import pytest

from deploy.plan_sections import Objectives
from eval.right_answers import written_answers
from eval.samples import Sample
from tests.eval.run_on_disk import answers, measured_of

RIGHT = [True] * 30 + [False] * 10
OBJECTIVES = Objectives(price_per_hour=3.6)


def written(task: str, tokens: int) -> list[Sample]:
    return [
        replace(it, output_tokens=tokens, outcome="right" if it.correct else "empty")
        for it in answers(task, RIGHT)
    ]


def test_answers_of_all_written_tasks_are_held_together_and_priced() -> None:
    base = measured_of("bf16-vllm", [*written("a", 10), *written("b", 30)], 0.02)
    mine = measured_of(
        "gguf-q8_0", [*written("a", 20), *written("b", 60), *answers("choices", RIGHT)], 0.01
    )
    found = written_answers(mine, base, OBJECTIVES)
    assert found is not None
    assert found.outcomes == {"right": 60, "empty": 20}
    assert found.inflation is not None
    assert found.inflation.value == pytest.approx(2.0)
    assert found.tokens_per_right is not None
    assert found.tokens_per_right.value == pytest.approx(40 * 80 / 60)
    assert mine.load is not None
    speed = mine.load.levels[0].output_tok_per_s.value
    assert found.seconds_per_right is not None
    assert found.seconds_per_right.value == pytest.approx(40 * 80 / 60 / speed)
    assert found.price_per_right is not None
    assert found.price_per_right.value == pytest.approx(40 * 80 / 60 / speed / 1000)
    assert found.joules_per_right is None


def test_the_baseline_is_not_longer_than_itself_and_void_speeds_price_nothing() -> None:
    base = measured_of("bf16-vllm", written("a", 10), 0.02)
    found = written_answers(base, base, OBJECTIVES)
    assert found is not None
    assert found.inflation is None
    assert base.load is not None
    void = replace(base, load=base.load.model_copy(update={"saturated": True}))
    told = written_answers(void, void, OBJECTIVES)
    assert told is not None
    assert told.seconds_per_right is None


def test_without_written_answers_there_is_nothing_to_tell() -> None:
    base = measured_of("bf16-vllm", answers("choices", RIGHT), 0.02)
    assert written_answers(base, base, OBJECTIVES) is None
