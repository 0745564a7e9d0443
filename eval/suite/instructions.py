"""Instructions whose following a program can check: six levels, from one exact word to four rules.

An answer is right when it keeps every constraint of its item.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import datasets

from eval.suite.answers import said
from eval.suite.constraints import Constraint, holds, told
from eval.suite.draw import Item, as_test_split, drawn
from eval.suite.tables import column, names, read_table

TASK = "assay_general_instructions"
COUNT = 240

Request = tuple[str, list[Constraint]]
"""What is asked for, and what the answer must keep."""


def _exact(rng: Random) -> Request:
    """One thing to be said, and nothing else."""
    word = rng.choice(column("things", "many"))
    asked, answer = rng.choice(
        (
            (f'Reply with the word "{word}" and nothing else.', word),
            (f'Write the word "{word}" backwards. Reply with the result alone.', word[::-1]),
            (f'Write the word "{word}" in capital letters, and nothing else.', word),
            (f'Which is the first letter of the word "{word}"? Reply with it alone.', word[0]),
            (f'Repeat exactly: "{word} {word} {word}"', f"{word} {word} {word}"),
        )
    )
    return asked, [{"kind": "exactly", "text": answer}]


def _ordered(rng: Random) -> Request:
    """A short list put in another order, or filtered."""
    found = names(rng, rng.randint(3, 6))
    asked, answer = rng.choice(
        (
            ("in alphabetical order", sorted(found)),
            ("in the opposite order", found[::-1]),
            ("without the first of them", found[1:]),
            ("without the last of them", found[:-1]),
        )
    )
    text = f"Here are names: {', '.join(found)}. Write them {asked}, separated by commas"
    return f"{text}, and nothing else.", [{"kind": "list", "words": answer}]


def _ruled(rng: Random, count: int) -> Request:
    """A short text under some rules that do not contradict each other."""
    topic = rng.choice(read_table("topics"))
    groups = [_length(rng), _wording(rng, topic["word"]), _style(rng), _end(rng)]
    rules = rng.sample(groups, count)
    asked = f"Write a short text about {topic['topic']}."
    return " ".join([asked, *(told(rule) for rule in rules)]), rules


def _length(rng: Random) -> Constraint:
    return rng.choice(
        (
            {"kind": "at_most_words", "count": rng.choice((15, 20, 25, 30))},
            {"kind": "at_least_words", "count": rng.choice((25, 30, 40))},
            {"kind": "sentences", "count": rng.randint(1, 4)},
            {"kind": "lines", "count": rng.randint(2, 5)},
            {"kind": "bullets", "count": rng.randint(2, 5)},
        )
    )


def _wording(rng: Random, word: str) -> Constraint:
    kind = rng.choice(("contains", "contains", "avoids"))
    return {"kind": kind, "word": rng.choice((word, "always", "slowly"))}


def _style(rng: Random) -> Constraint:
    return {"kind": rng.choice(("lowercase", "uppercase", "no_commas"))}


def _end(rng: Random) -> Constraint:
    return {"kind": "ends", "text": rng.choice(("that is all", "the end", "see you soon"))}


def _listed(rng: Random) -> Request:
    """A list of a given length as JSON."""
    of = rng.choice(("animals", "colours", "cities", "kinds of fruit", "first names", "tools"))
    rule = {"kind": "json_list", "count": rng.randint(2, 7)}
    return f"Name some {of}. {told(rule)}", [rule]


LEVELS: Mapping[str, Callable[[Random], Request]] = {
    "1 exact": _exact,
    "2 lists": _ordered,
    "3 one rule": lambda rng: _ruled(rng, 1),
    "4 JSON lists": _listed,
    "5 two rules": lambda rng: _ruled(rng, 2),
    "6 four rules": lambda rng: _ruled(rng, 4),
}


def item(rng: Random, number: int) -> Item:
    """One request of the level whose turn it is; its rules as JSON, for they differ in shape."""
    kind = list(LEVELS)[number % len(LEVELS)]
    question, rules = LEVELS[kind](rng)
    return {"kind": kind, "question": question, "rules": json.dumps(rules)}


def dataset(seed: int = 0, limit: int | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The task's items for lm-eval."""
    return as_test_split(drawn(TASK, seed, COUNT, limit, item))


def score(doc: Item, results: list[str]) -> dict[str, float]:
    """Whether every rule is kept."""
    answer = said(results[0])
    return {"acc": float(all(holds(rule, answer) for rule in json.loads(doc["rules"])))}
