"""Calls and records: the right answer of every item fits its schema and scores; others do not.

covers: eval/suite/functions.py
"""

import json
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eval.suite.draw import rng_of
from eval.suite.functions import FUNCTIONS, Function
from eval.suite.tool_calls import COUNT, LEVELS, TASK, dataset, item, score


def test_there_are_enough_requests_and_all_levels_have_as_many() -> None:
    found = dataset()["test"]
    assert len(found) == COUNT >= 200
    assert set(Counter(found["kind"]).values()) == {COUNT // len(LEVELS)}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_what_a_request_means_fits_the_functions_schema(function: Function) -> None:
    Draft202012Validator.check_schema(function.schema)
    for number in range(100):
        _, arguments = function.ask(rng_of("test", 0, number))
        Draft202012Validator(function.schema).validate(arguments)
        assert arguments.keys() == function.parameters.keys()


def test_the_right_answer_of_every_item_scores() -> None:
    for number in range(500):
        found = item(rng_of(TASK, 3, number), number)
        assert score(found, [found["answer"]]) == {"acc": 1.0}
        assert score(found, [f"Here:\n```json\n{found['answer']}\n```"]) == {"acc": 1.0}
        assert score(found, [found["question"]]) == {"acc": 0.0}
        assert score(found, [""]) == {"acc": 0.0}


CALL: dict[str, Any] = {"name": "set_alarm", "arguments": {"hour": 7, "minute": 30}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "set_alarm", "arguments": {"hour": 7}},
        {"name": "set_alarm", "arguments": {"hour": 7, "minute": "30"}},
        {"name": "set_alarm", "arguments": {"hour": 7, "minute": 30, "day": "monday"}},
        {"name": "set_alarm", "arguments": {"hour": 8, "minute": 30}},
        {"name": "make_coffee", "arguments": {"hour": 7, "minute": 30}},
        {"arguments": {"hour": 7, "minute": 30}},
        [CALL],
    ],
)
def test_a_call_that_does_not_fit_or_means_something_else_does_not_score(wrong: Any) -> None:
    (function,) = (it for it in FUNCTIONS if it.name == "set_alarm")
    schema = {
        "type": "object",
        "properties": {"name": {"const": "set_alarm"}, "arguments": function.schema},
        "required": ["name", "arguments"],
    }
    doc = {"schema": json.dumps(schema), "answer": json.dumps(CALL)}
    assert score(doc, [json.dumps(CALL)]) == {"acc": 1.0}
    assert score(doc, [json.dumps(wrong)]) == {"acc": 0.0}


def test_capitals_and_spaces_around_texts_do_not_matter() -> None:
    doc = {"schema": "{}", "answer": '{"city": "Oslo", "people": ["Ava"]}'}
    assert score(doc, ['{"people": ["ava "], "city": "OSLO."}']) == {"acc": 1.0}
    assert score(doc, ['{"people": ["ava", "ben"], "city": "Oslo"}']) == {"acc": 0.0}
