"""Four choices over what any instruct model has met: facts of authored tables, and authored items.

A fact is asked once in an instance. The seed draws from which side, the three wrong answers (other
values of the same column) and the order of the choices.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

import datasets

from eval.suite.draw import Item, as_test_split, interleaved, rng_of
from eval.suite.tables import Row, column, read_table
from quantize.root import ROOT

AUTHORED = ROOT / "eval" / "tasks" / "data" / "assay_general_choice.jsonl"
TASK = "assay_general_choice"
CHOICES = 4


@dataclass(frozen=True)
class Frame:
    """A question with the cell of column ``given`` in it, answered by that of ``wanted``."""

    text: str
    given: str
    wanted: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A table and the ways to ask for one of its facts; ``kind`` is the stratum."""

    kind: str
    table: str
    frames: tuple[Frame, ...]


def _language(name: str) -> Topic:
    column_name = name.lower()
    return Topic(
        kind="translation",
        table="translations",
        frames=(
            Frame(f'What is "{{}}" in {name}?', "english", column_name),
            Frame(f'What does "{{}}" mean in {name}?', column_name, "english"),
        ),
    )


TOPICS = (
    Topic(
        kind="geography",
        table="countries",
        frames=(
            Frame("What is the capital of {}?", "country", "capital"),
            Frame("Of which country is {} the capital?", "capital", "country"),
        ),
    ),
    Topic(
        kind="geography",
        table="countries",
        frames=(Frame("On which continent does {} lie?", "country", "continent"),),
    ),
    Topic(
        kind="chemistry",
        table="elements",
        frames=(
            Frame("What is the chemical symbol of {}?", "element", "symbol"),
            Frame("Which element has the symbol {}?", "symbol", "element"),
            Frame("Which element has the atomic number {}?", "number", "element"),
        ),
    ),
    Topic(
        kind="chemistry",
        table="formulas",
        frames=(
            Frame("What is the chemical formula of {}?", "substance", "formula"),
            Frame("What is {}?", "formula", "substance"),
        ),
    ),
    Topic(
        kind="words",
        table="opposites",
        frames=(
            Frame('What is the opposite of "{}"?', "word", "opposite"),
            Frame('What is the opposite of "{}"?', "opposite", "word"),
        ),
    ),
    Topic(
        kind="grammar",
        table="plurals",
        frames=(
            Frame('What is the plural of "{}"?', "singular", "plural"),
            Frame('What is the singular of "{}"?', "plural", "singular"),
        ),
    ),
    Topic(
        kind="grammar",
        table="verbs",
        frames=(
            Frame('What is the past tense of "{}"?', "present", "past"),
            Frame('Of which verb is "{}" the past tense?', "past", "present"),
        ),
    ),
    _language("French"),
    _language("German"),
    _language("Spanish"),
    Topic(
        kind="animals",
        table="animals",
        frames=(
            Frame("What is the young of this animal called: {}?", "animal", "young"),
            Frame("Of which animal is this the young: {}?", "young", "animal"),
        ),
    ),
    Topic(
        kind="animals",
        table="classes",
        frames=(Frame("What kind of animal is this: {}?", "animal", "class"),),
    ),
    Topic(
        kind="everyday",
        table="categories",
        frames=(Frame("What kind of thing is this: {}?", "word", "category"),),
    ),
    Topic(
        kind="everyday",
        table="uses",
        frames=(Frame("What does one use this for: {}?", "thing", "use"),),
    ),
    Topic(
        kind="everyday",
        table="professions",
        frames=(
            Frame("What is the work of somebody of this profession: {}?", "profession", "work"),
            Frame("Who {}?", "work", "profession"),
        ),
    ),
    Topic(kind="numbers", table="measures", frames=(Frame("How many {}?", "question", "number"),)),
    Topic(
        kind="culture",
        table="works",
        frames=(
            Frame("Who wrote {}?", "work", "author"),
            Frame("Which of these did {} write?", "author", "work"),
        ),
    ),
    Topic(
        kind="culture",
        table="discoveries",
        frames=(
            Frame("Whose name stands for {}?", "what", "who"),
            Frame("For what is {} known?", "who", "what"),
        ),
    ),
    Topic(
        kind="body",
        table="organs",
        frames=(Frame("Which part of the body does this: {}?", "work", "organ"),),
    ),
    Topic(
        kind="calendar",
        table="months",
        frames=(
            Frame("Which month comes after {}?", "month", "next"),
            Frame("Which month comes before {}?", "next", "month"),
        ),
    ),
    Topic(
        kind="calendar",
        table="weekdays",
        frames=(
            Frame("Which day comes after {}?", "day", "next"),
            Frame("Which day comes before {}?", "next", "day"),
        ),
    ),
)


def asked(topic: Topic, row: Row, rng: Random) -> Item:
    """One fact as a question with its choices."""
    frame = rng.choice(topic.frames)
    given, answer = row[frame.given], row[frame.wanted]
    right = {r[frame.wanted] for r in read_table(topic.table) if r[frame.given] == given}
    others = [value for value in column(topic.table, frame.wanted) if value not in right]
    choices = [answer, *rng.sample(others, CHOICES - 1)]
    rng.shuffle(choices)
    return _item(topic.kind, frame.text.format(given), choices, answer)


def _item(kind: str, question: str, choices: list[str], answer: str) -> Item:
    place = choices.index(answer)
    return {"kind": kind, "question": question, "choices": choices, "answer": place}


def _authored(line: str, rng: Random) -> Item:
    """An authored item, whose choices the seed puts in another order."""
    row = json.loads(line)
    answer, choices = row["choices"][row["answer"]], list(row["choices"])
    rng.shuffle(choices)
    return _item(row["kind"], row["question"], choices, answer)


def items(seed: int) -> list[Item]:
    """All facts and all authored items, the strata in turn."""
    strata: dict[str, list[Item]] = {}
    for number, topic in enumerate(TOPICS):
        for place, row in enumerate(read_table(topic.table)):
            rng = rng_of(f"{TASK} {number}", seed, place)
            strata.setdefault(topic.kind, []).append(asked(topic, row, rng))
    for place, line in enumerate(AUTHORED.read_text(encoding="utf-8").splitlines()):
        item = _authored(line, rng_of(f"{TASK} authored", seed, place))
        strata.setdefault(item["kind"], []).append(item)
    for kind, found in strata.items():
        rng_of(f"{TASK} {kind}", seed, 0).shuffle(found)
    mixed = interleaved(list(strata.values()))
    return [{"id": f"{TASK}-{seed}-{place:05}", **item} for place, item in enumerate(mixed)]


def dataset(seed: int = 0, **_: Any) -> dict[str, datasets.Dataset]:
    """The task's items for lm-eval."""
    return as_test_split(items(seed))
