"""Sums and word problems on a ladder of ten levels, from 3 + 4 to eight steps in a row.

Items take the levels in turn. The lowest are within reach of a model of 0.1 billion parameters,
the highest cost one of 70 billion some of its answers, so each has some to lose.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import datasets

from eval.suite.answers import number_in
from eval.suite.draw import Item, as_test_split, drawn
from eval.suite.tables import Row, names, read_table

TASK = "assay_general_arithmetic"
COUNT = 420

Problem = tuple[str, int]
"""A question and its answer."""


def _single_digits(rng: Random) -> Problem:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return f"What is {a} + {b}?", a + b


def _two_digits(rng: Random) -> Problem:
    a, b = rng.randint(11, 89), rng.randint(11, 89)
    if rng.random() < 0.5:
        return f"What is {a} + {b}?", a + b
    return f"What is {max(a, b)} - {min(a, b)}?", abs(a - b)


def _times_table(rng: Random) -> Problem:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    if rng.random() < 0.5:
        return f"What is {a} * {b}?", a * b
    return f"What is {a * b} divided by {b}?", a


def _one_step(rng: Random) -> Problem:
    thing, (who, other) = _thing(rng), names(rng, 2)
    a, b = rng.randint(4, 30), rng.randint(2, 20)
    if rng.random() < 0.5:
        text = f"{who} has {a} {thing['many']}. {other} gives {who} {b} more."
        return f"{text} How many {thing['many']} does {who} have now?", a + b
    text = f"There are {a + b} {thing['many']} in the {thing['place']}. {who} takes {b} out."
    return f"{text} How many {thing['many']} are left in the {thing['place']}?", a


def _two_steps(rng: Random) -> Problem:
    thing, (who, other) = _thing(rng), names(rng, 2)
    a, b = rng.randint(3, 9), rng.randint(3, 12)
    c = rng.randint(2, a * b - 1)
    text = (
        f"{who} buys {a} {_plural(thing['place'])} with {b} {thing['many']} each "
        f"and gives {c} of the {thing['many']} to {other}."
    )
    return f"{text} How many {thing['many']} does {who} keep?", a * b - c


def _three_digits(rng: Random) -> Problem:
    a, b, c = rng.randint(120, 980), rng.randint(120, 980), rng.randint(3, 9)
    if rng.random() < 0.5:
        return f"What is {a} + {b} - {c * 11}?", a + b - c * 11
    return f"What is {b % 90 + 10} * {c}?", (b % 90 + 10) * c


def _change(rng: Random) -> Problem:
    thing, (who,) = _thing(rng), names(rng, 1)
    count, price, off = rng.randint(3, 12), rng.randint(2, 9), rng.randint(1, 5)
    note = 200 if count * price > 100 else rng.choice((100, 200))
    text = (
        f"One {thing['one']} costs {price} euros. {who} buys {count} {thing['many']}, gets "
        f"{off} euros off the whole, and pays with a {note}-euro note."
    )
    return f"{text} How many euros of change does {who} get?", note - (count * price - off)


def _long_products(rng: Random) -> Problem:
    if rng.random() < 0.5:
        a, b = rng.randint(13, 98), rng.randint(13, 98)
        return f"What is {a} * {b}?", a * b
    share, whole = rng.choice((5, 15, 20, 35, 60, 75)), rng.randint(3, 45) * 20
    return f"What is {share} % of {whole}?", share * whole // 100


def _distracted(rng: Random) -> Problem:
    """Four steps, and a number that does not matter."""
    thing, (who, other, third) = _thing(rng), names(rng, 3)
    a, times, more, age, shared = (
        rng.randint(6, 25), rng.randint(2, 5), rng.randint(3, 20), rng.randint(20, 70),
        rng.choice((2, 3, 4)),
    )  # fmt: skip
    total = a + a * times + more
    given = total % shared or shared
    text = (
        f"{who}, who is {age} years old, has {a} {thing['many']}. {other} has {times} times as "
        f"many as {who}. They put them together, find {more} more, give {given} to a neighbour "
        f"and share the rest equally among {shared} friends of {third}."
    )
    return f"{text} How many {thing['many']} does each friend get?", (total - given) // shared


def _chain(rng: Random, steps: int) -> Problem:
    value = rng.randint(12, 60)
    words = [f"Start with {value}."]
    for _ in range(steps):
        step = rng.choice(("add", "subtract", "multiply", "halve"))
        number = rng.randint(3, 9) if step == "multiply" else rng.randint(7, 48)
        if step == "halve" and value % 2:
            step = "add"
        if step == "multiply" and abs(value) > 400:
            step = "subtract"
        value, told = _stepped(step, value, number)
        words.append(told)
    return f"{' '.join(words)} What is the result?", value


def _stepped(step: str, value: int, number: int) -> tuple[int, str]:
    return {
        "add": (value + number, f"Add {number}."),
        "subtract": (value - number, f"Subtract {number}."),
        "multiply": (value * number, f"Multiply by {number}."),
        "halve": (value // 2, "Halve it."),
    }[step]


def _hard(rng: Random) -> Problem:
    if rng.random() < 0.5:
        return _chain(rng, 8)
    a, b, c = rng.randint(123, 987), rng.randint(123, 987), rng.randint(1000, 9999)
    return f"What is {a} * {b} - {c}?", a * b - c


LEVELS: Mapping[str, Callable[[Random], Problem]] = {
    "01 single digits": _single_digits,
    "02 two digits": _two_digits,
    "03 times tables": _times_table,
    "04 one step": _one_step,
    "05 two steps": _two_steps,
    "06 three digits": _three_digits,
    "07 change": _change,
    "08 products and shares": _long_products,
    "09 four steps and a red herring": _distracted,
    "10 eight steps": _hard,
}


def _thing(rng: Random) -> Row:
    return rng.choice(read_table("things"))


def _plural(place: str) -> str:
    irregular = {"shelf": "shelves", "box": "boxes"}
    return irregular.get(place, f"{place}s")


def item(rng: Random, number: int) -> Item:
    """One problem of the level whose turn it is."""
    kind = list(LEVELS)[number % len(LEVELS)]
    question, answer = LEVELS[kind](rng)
    return {"kind": kind, "question": question, "answer": str(answer)}


def dataset(seed: int = 0, limit: int | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The task's items for lm-eval."""
    return as_test_split(drawn(TASK, seed, COUNT, limit, item))


def score(doc: Item, results: list[str]) -> dict[str, float]:
    """Whether the number that is given is the right one."""
    return {"acc": float(number_in(results[0]) == Decimal(doc["answer"]))}
