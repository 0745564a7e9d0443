"""Texts whose likelihood is asked: authored ones that no recipe saw, drawn ones, and long ones.

The authored ones are held out of the calibration text (``quantize/calibration/general_text.py``).
Drawn are what people seldom write and models often: records, tables, calls of functions, dialogue,
worked sums. The long ones fill the context that is served, and their parts refer to each other.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import datasets

from eval.suite.arithmetic import LEVELS
from eval.suite.chronicle import sentences_of
from eval.suite.draw import Item, as_test_split, drawn, interleaved
from eval.suite.functions import FUNCTIONS
from eval.suite.tables import column, names, read_table
from quantize.root import ROOT

TEXT = "assay_general_text"
LONG = "assay_general_long"
AUTHORED = ROOT / "eval" / "tasks" / "data" / "assay_general_text.jsonl"
DRAWN_PER_KIND = 8
LONG_COUNT = 12
MOST_TOKENS = 32_768


def _records(rng: Random) -> str:
    people = [
        {"id": 1000 + place, "name": who, "city": rng.choice(column("countries", "capital")),
         "orders": [{"item": rng.choice(column("things", "one")), "count": rng.randint(1, 20)}
                    for _ in range(rng.randint(1, 3))]}
        for place, who in enumerate(names(rng, 5))
    ]  # fmt: skip
    return json.dumps({"customers": people, "total": len(people)}, indent=2, ensure_ascii=False)


def _table(rng: Random) -> str:
    rows = rng.sample(read_table("countries"), 9)
    lines = [f"| {row['country']} | {row['capital']} | {row['continent']} |" for row in rows]
    return "\n".join(["| country | capital | continent |", "| --- | --- | --- |", *lines])


def _calls(rng: Random) -> str:
    turns = []
    for function in rng.sample(FUNCTIONS, 4):
        request, arguments = function.ask(rng)
        call = json.dumps({"name": function.name, "arguments": arguments}, ensure_ascii=False)
        turns.append(f"User: {request}\nAssistant: <tool_call>{call}</tool_call>\nTool: done")
    return "\n".join(turns)


def _dialogue(rng: Random) -> str:
    one, other = names(rng, 2)
    topic = rng.choice(read_table("topics"))
    facts = rng.sample(read_table("uses"), 4)
    lines = [f"{one}: Let us talk about {topic['topic']}.", f"{other}: Gladly. What do we need?"]
    for fact in facts:
        lines += [
            f"{one}: What does one use this for: {fact['thing']}?",
            f"{other}: {fact['use'][0].upper()}{fact['use'][1:]}, of course.",
        ]
    return "\n".join([*lines, f"{one}: Thank you, {other}. Until tomorrow!"])


def _sums(rng: Random) -> str:
    problems = [make(rng) for make in rng.sample(list(LEVELS.values()), 5)]
    return "\n\n".join(f"Question: {text}\nAnswer: {answer}" for text, answer in problems)


DRAWN: Mapping[str, Callable[[Random], str]] = {
    "records": _records,
    "tables": _table,
    "tool calls": _calls,
    "dialogue": _dialogue,
    "sums": _sums,
}


def _authored() -> list[Item]:
    return [json.loads(line) for line in AUTHORED.read_text(encoding="utf-8").splitlines()]


def texts(seed: int = 0, **_: Any) -> dict[str, datasets.Dataset]:
    """The short texts for lm-eval, the strata in turn."""

    def make(rng: Random, number: int) -> Item:
        kind = list(DRAWN)[number % len(DRAWN)]
        return {"kind": kind, "text": DRAWN[kind](rng)}

    strata: dict[str, list[Item]] = {}
    for item in [*_authored(), *drawn(TEXT, seed, DRAWN_PER_KIND * len(DRAWN), None, make)]:
        strata.setdefault(item["kind"], []).append(item)
    return as_test_split(list(interleaved(list(strata.values()))))


def long_texts(
    seed: int = 0, limit: int | None = None, context_length: int = 2048, **_: Any
) -> dict[str, datasets.Dataset]:
    """The long texts for lm-eval, as long as the context that is served."""

    def make(rng: Random, _number: int) -> Item:
        return {"kind": "long", "text": " ".join(sentences_of(rng, 0.95 * room))}

    room = min(context_length, MOST_TOKENS)
    return as_test_split(drawn(LONG, seed, LONG_COUNT, limit, make))
