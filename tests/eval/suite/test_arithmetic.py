import re
from collections import Counter
from random import Random

import pytest

from eval.suite.arithmetic import COUNT, LEVELS, TASK, dataset, item, score
from eval.suite.draw import rng_of


def test_there_are_enough_problems_and_all_levels_have_as_many() -> None:
    found = dataset()["test"]
    assert len(found) == COUNT >= 400
    assert set(Counter(found["kind"]).values()) == {COUNT // len(LEVELS)}


def test_hardly_any_problem_of_the_upper_levels_stands_twice() -> None:
    found = [item(rng_of(TASK, 0, n), n) for n in range(COUNT)]
    hard = [it["question"] for it in found if it["kind"] > "04"]
    assert len(set(hard)) >= 0.99 * len(hard)


def test_a_sum_that_is_asked_plainly_has_the_answer_that_python_finds() -> None:
    checked = 0
    for number in range(2000):
        found = item(rng_of(TASK, 1, number), number)
        if plain := re.fullmatch(r"What is ([\d+*\- ]+)\?", found["question"]):
            assert eval(plain[1]) == int(found["answer"])
            checked += 1
    assert checked > 600


def test_a_chain_of_steps_has_the_answer_of_its_steps() -> None:
    for number in range(9, 2000, 10):
        found = item(rng_of(TASK, 2, number), number)
        start = re.match(r"Start with (\d+)\.", found["question"])
        if not start:
            continue
        value = int(start[1])
        for verb, amount in re.findall(
            r"(Add|Subtract|Multiply by|Halve it)(?: (\d+))?\.", found["question"]
        ):
            match verb:
                case "Add":
                    value += int(amount)
                case "Subtract":
                    value -= int(amount)
                case "Multiply by":
                    value *= int(amount)
                case _:
                    assert value % 2 == 0
                    value //= 2
        assert value == int(found["answer"])


@pytest.mark.parametrize("level", LEVELS)
def test_answers_are_whole_and_what_is_shared_or_kept_is_never_negative(level: str) -> None:
    for number in range(300):
        question, answer = LEVELS[level](Random(number))
        assert isinstance(answer, int)
        if "how many" in question.lower():
            assert answer >= 0


def test_the_right_number_scores_and_any_other_does_not() -> None:
    doc = {"answer": "1250"}
    assert score(doc, ["It is 1,250.\nAnswer: 1,250"]) == {"acc": 1.0}
    assert score(doc, ["Answer: 1251"]) == {"acc": 0.0}
    assert score(doc, [""]) == {"acc": 0.0}
