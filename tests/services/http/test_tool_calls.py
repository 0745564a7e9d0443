"""Calls are read the same from a whole answer and from any pieces of it."""

import json
import random
from typing import Any

import pytest

from services.http.tool_calls import CallReader, Reading

WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
TIME = '<tool_call>{"name": "time", "arguments": {}}</tool_call>'


def read(pieces: list[str], reading: Reading) -> tuple[str, list[tuple[int, str, Any]]]:
    """The text, and the place, name and arguments of every call."""
    reader = CallReader(reading)
    said, calls = "", list[Any]()
    for piece in pieces:
        text, found = reader.feed(piece)
        said, calls = said + text, calls + found
    text, found = reader.finish()
    told = [
        (call["index"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in calls + found
    ]
    return said + text, told


@pytest.mark.parametrize(
    ("text", "said", "names"),
    [
        (f"Let me see.{WEATHER}\n{TIME}", "Let me see.", ["weather", "time"]),
        (WEATHER, "", ["weather"]),
        (WEATHER.removesuffix("</tool_call>"), "", ["weather"]),
        ("no call, a <b> and a <tool_", "no call, a <b> and a <tool_", []),
        ("<tool_call>no object</tool_call> on", "<tool_call>no object</tool_call> on", []),
        ('<tool_call>{"name": "weather", "argu', '<tool_call>{"name": "weather", "argu', []),
        (f"{TIME} and then", "and then", ["time"]),
        ("", "", []),
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_what_is_a_call_is_one_and_all_else_is_text(
    text: str, said: str, names: list[str], seed: int
) -> None:
    rng, pieces, left = random.Random(seed), [], text
    while left:
        size = rng.randint(1, 9) if seed else len(left)
        pieces.append(left[:size])
        left = left[size:]
    found, calls = read(pieces, Reading())
    assert found == said
    assert [(place, name) for place, name, _ in calls] == list(enumerate(names))


def test_one_call_alone_counts_where_one_is_wanted() -> None:
    assert [name for _, name, _ in read([WEATHER + TIME], Reading(parallel=False))[1]] == [
        "weather"
    ]


def test_what_a_grammar_held_to_calls_is_nothing_but_calls() -> None:
    listed = [{"name": "time", "arguments": {}}, {"name": "weather", "arguments": {"city": "x"}}]
    said, calls = read([json.dumps(listed)], Reading(listed=True))
    assert (said, [name for _, name, _ in calls]) == ("", ["time", "weather"])
    said, calls = read(['{"city":', ' "x"}'], Reading(tool="weather"))
    assert (said, calls) == ("", [(0, "weather", {"city": "x"})])


def test_what_was_written_whole_of_a_list_that_was_cut_is_called() -> None:
    listed = json.dumps([{"name": "time", "arguments": {}}] * 3)
    for end in range(len(listed) - 2, 2, -1):
        said, calls = read([listed[:end]], Reading(listed=True))
        assert len(calls) == listed[:end].count("}}")
        assert said == ("" if calls else listed[:end])


@pytest.mark.parametrize("reading", [Reading(listed=True), Reading(tool="weather")])
def test_an_answer_that_was_cut_is_told_as_text(reading: Reading) -> None:
    assert read(['[{"name": "wea'], reading) == ('[{"name": "wea', [])
