"""The suite as lm-eval has it: every task loads by name, of the instance that is asked for.

covers: eval/tasks/assay_general_*.yaml
"""

from typing import Any

import pytest

from deploy.plan_model import GENERAL_TASKS
from eval.lm_eval_tasks import end_plainly, load_tasks, traits_of
from eval.quality_job import TASKS_DIR
from eval.suite.offered import CHATS, SUITE
from eval.task_refusals import unscorable


@pytest.fixture(scope="module")
def loaded() -> dict[int, dict[str, Any]]:
    return {
        seed: dict(
            load_tasks(
                GENERAL_TASKS,
                [str(TASKS_DIR)],
                bundled_only=True,
                drawn={"seed": seed, "limit": 500, "context_length": 1024},
            ).tasks
        )
        for seed in (0, 1)
    }


def test_the_tasks_of_a_plan_that_names_none_are_the_suites() -> None:
    assert set(GENERAL_TASKS) == SUITE
    assert {path.stem for path in TASKS_DIR.glob("assay_general_*.yaml")} == SUITE


def test_every_task_can_be_asked_and_scored(loaded: dict[int, dict[str, Any]]) -> None:
    for name, task in loaded[0].items():
        traits = traits_of(task)
        assert unscorable(traits, context_length=1024, default_answer=256, num_fewshot=None) is None
        assert (traits.output_type == "generate_until") == (name in CHATS)


def test_a_seed_makes_a_fresh_instance_of_every_task(loaded: dict[int, dict[str, Any]]) -> None:
    for name in GENERAL_TASKS:
        one, other = (
            {str(sorted(doc.items())) for doc in loaded[seed][name].test_docs()} for seed in (0, 1)
        )
        assert one != other, name


def test_a_limit_beyond_the_size_makes_more_of_what_is_drawn(
    loaded: dict[int, dict[str, Any]],
) -> None:
    sizes = {name: len(task.test_docs()) for name, task in loaded[0].items()}
    assert {sizes[name] for name in CHATS} == {500}


def test_a_chat_ends_plainly_for_a_model_without_a_template(
    loaded: dict[int, dict[str, Any]],
) -> None:
    task = loaded[1]["assay_general_retrieval"]
    end_plainly(task)
    doc = next(iter(task.test_docs()))
    assert task.doc_to_text(doc).endswith("Reply with the password alone.\nAnswer:")
    other = loaded[0]["assay_general_arithmetic"]
    assert other.doc_to_text({"question": "What is 1 + 1?"}) == (
        'What is 1 + 1?\nEnd your answer with a line "Answer: <number>".'
    )
