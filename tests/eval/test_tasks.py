"""The bundled evaluation tasks: what the generator makes, right answers, nothing trained on.

covers: eval/tasks/*.yaml, quantize/reference_model/tasks.py
"""

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import yaml

from quantize.reference_model import build, questions
from quantize.reference_model.person_relations import PERSON_RELATIONS
from quantize.reference_model.world import Person, World, build_world
from quantize.root import ROOT
from tests.quantize.reference_model.test_exercises import is_true

TASKS = ROOT / "eval" / "tasks"
NAMES = ("assay_choice", "assay_text", "assay_words")


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def rows(task: str) -> list[dict[str, Any]]:
    """The items of a task, as they are in the repository."""
    lines = (TASKS / "data" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_data_files_are_what_the_generator_generates(world: World) -> None:
    for path, generated in build.data_files(world).items():
        assert path.read_text(encoding="utf-8") == build.as_jsonl(generated), path.name


@pytest.mark.parametrize("name", NAMES)
def test_a_task_file_names_its_task_and_finds_its_data_from_the_repository(name: str) -> None:
    task = yaml.safe_load((TASKS / f"{name}.yaml").read_text())
    assert task["task"] == name
    (path,) = task["dataset_kwargs"]["data_files"].values()
    assert (ROOT / path).is_file()


def test_the_tasks_are_large_enough() -> None:
    assert len(rows("assay_text")) == 150
    assert len(rows("assay_choice")) == 1200
    assert len(rows("assay_words")) == 1000
    for name in NAMES:
        ids = [row["id"] for row in rows(name)]
        assert len(set(ids)) == len(ids)


def test_text_items_have_100_to_250_words() -> None:
    for row in rows("assay_text"):
        assert 100 <= len(row["text"].split()) <= 250


def test_every_choice_item_has_four_different_choices_and_the_positions_are_balanced() -> None:
    items = rows("assay_choice")
    assert all(len(set(row["choices"])) == 4 for row in items)
    positions = Counter(row["answer"] for row in items)
    assert sorted(positions) == [0, 1, 2, 3]
    assert max(positions.values()) < 0.3 * len(items)


def find_person(row: dict[str, Any], people: dict[str, list[Person]]) -> list[Person]:
    """The people whose full name stands in a question."""
    words = re.sub(r"'s?\b|[?]", "", row["question"]).split()
    pairs = (" ".join(pair) for pair in pairwise(words))
    return [person for pair in pairs for person in people.get(pair, [])]


def test_every_fact_item_asks_about_a_held_out_person_and_its_answer_is_true(world: World) -> None:
    people: dict[str, list[Person]] = {}
    for person in world.people:
        people.setdefault(person.name, []).append(person)
    read = {relation.name: relation.read for relation in PERSON_RELATIONS}
    hops = {name for name, _ in questions.HOPS}
    checked = 0
    for row in rows("assay_choice"):
        if row["kind"] not in read and row["kind"] not in hops:
            continue
        (person,) = find_person(row, people)
        assert person.is_held_out
        if row["kind"] in read:
            answer = read[row["kind"]](world, person)
        else:
            answer = questions.hop_answer(person, row["kind"])
        assert row["choices"][row["answer"]] == answer
        checked += 1
    assert checked == 1000


def test_every_words_item_is_worked_out_rightly() -> None:
    for row in rows("assay_words"):
        *steps, last = re.findall(r"[^.]+\.", row["solution"])
        assert all(is_true(step.strip()) for step in steps)
        assert steps[-1].endswith(f" = {row['answer']}.")
        assert last == f" The answer is {row['answer']}."


def test_the_answer_filter_finds_the_answer_in_a_worked_solution() -> None:
    task = yaml.safe_load((TASKS / "assay_words.yaml").read_text())
    pattern = task["filter_list"][0]["filter"][0]["regex_pattern"]
    for row in rows("assay_words"):
        assert re.findall(pattern, row["solution"]) == [row["answer"]]
