"""Tool calls and structured answers, held to a JSON schema and to what was meant.

A call is right when its JSON names the function, its arguments fit the function's schema and are
those that the request means; a record when it fits its schema and holds what the text says.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import datasets
from jsonschema import Draft202012Validator

from eval.suite.answers import object_in
from eval.suite.draw import Item, as_test_split, drawn
from eval.suite.functions import FUNCTIONS, Function, Schema
from eval.suite.tables import column, names

TASK = "assay_general_tools"
COUNT = 240

Asked = tuple[str, Schema, Any]
"""The whole request, the schema of the answer, and the right answer."""

_CALL = 'Answer with nothing but one JSON object: {"name": <function>, "arguments": {…}}.'


def _call_schema(function: Function) -> Schema:
    return {
        "type": "object",
        "properties": {"name": {"const": function.name}, "arguments": function.schema},
        "required": ["name", "arguments"],
    }


def _call(rng: Random, offered: int) -> Asked:
    """A request, among so many functions of which one serves it."""
    functions = rng.sample(FUNCTIONS, offered)
    function = rng.choice(functions)
    request, arguments = function.ask(rng)
    shown = [
        json.dumps({"name": it.name, "description": it.about, "parameters": it.schema})
        for it in functions
    ]
    text = "\n".join(["You can call these functions:", *shown, _CALL, f"Request: {request}"])
    return text, _call_schema(function), {"name": function.name, "arguments": arguments}


def _person(rng: Random) -> dict[str, Any]:
    (who,), city = names(rng, 1), rng.choice(column("countries", "capital"))
    return {"name": who, "age": rng.randint(19, 88), "city": city}


_PERSON: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"},
    },
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}  # fmt: skip


def _record(rng: Random) -> Asked:
    """One person, told in a sentence."""
    person = _person(rng)
    text = rng.choice(
        (
            "{name}, {age} years old, lives in {city}.",
            "In {city} we met {name}, who has just turned {age}.",
            "At {age}, {name} moved to {city} and stayed there.",
        )
    ).format(**person)
    return _structured(text, _PERSON), _PERSON, person


def _records(rng: Random) -> Asked:
    """Several people, told in a row."""
    people = [_person(rng) for _ in range(rng.randint(2, 4))]
    schema = {"type": "array", "items": _PERSON, "minItems": 1}
    text = " ".join("{name} ({age}) is from {city}.".format(**person) for person in people)
    return _structured(text, schema), schema, people


def _structured(text: str, schema: Schema) -> str:
    return (
        f"Text: {text}\nWrite what it says as JSON that fits this schema:\n{json.dumps(schema)}\n"
        "Answer with nothing but the JSON."
    )


LEVELS: Mapping[str, Callable[[Random], Asked]] = {
    "1 one function": lambda rng: _call(rng, 1),
    "2 a record": _record,
    "3 of three functions": lambda rng: _call(rng, 3),
    "4 records": _records,
    "5 of eight functions": lambda rng: _call(rng, 8),
}


def item(rng: Random, number: int) -> Item:
    """One request of the level whose turn it is; schema and answer as JSON."""
    kind = list(LEVELS)[number % len(LEVELS)]
    question, schema, answer = LEVELS[kind](rng)
    return {
        "kind": kind,
        "question": question,
        "schema": json.dumps(schema),
        "answer": json.dumps(answer, ensure_ascii=False),
    }


def dataset(seed: int = 0, limit: int | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The task's items for lm-eval."""
    return as_test_split(drawn(TASK, seed, COUNT, limit, item))


def score(doc: Item, results: list[str]) -> dict[str, float]:
    """Whether the JSON fits the schema and is what was meant."""
    found = object_in(results[0])
    fits = Draft202012Validator(json.loads(doc["schema"])).is_valid(found)
    return {"acc": float(fits and _folded(found) == _folded(json.loads(doc["answer"])))}


def _folded(value: Any) -> Any:
    """A value without what does not matter: capitals and spaces around texts."""
    if isinstance(value, str):
        return value.strip().rstrip(".").lower()
    if isinstance(value, list):
        return [_folded(it) for it in value]
    if isinstance(value, dict):
        return {key: _folded(it) for key, it in value.items()}
    return value
