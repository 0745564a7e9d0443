"""What was told once, somewhere in a long record: asked at five depths of four lengths.

The lengths are shares of the context that is served, so the longest questions nearly fill it.
Beside the sentence that answers stand others of the same form: finding one of these is not enough.
"""

from random import Random
from typing import Any

import datasets

from eval.suite.answers import said
from eval.suite.chronicle import colours, places, sentences_of
from eval.suite.draw import Item, as_test_split, drawn

TASK = "assay_general_retrieval"
LENGTHS = (0.1, 0.25, 0.5, 0.85)
DEPTHS = (0.05, 0.25, 0.5, 0.75, 0.95)
COUNT = 5 * len(LENGTHS) * len(DEPTHS)
# What the sentences to be found, the question, the chat template and the answer take.
BESIDE_TOKENS = 200
MOST_TOKENS = 32_768
LEAST_TOKENS = 96
_BOXES = 4
_WORDS = ("amber", "falcon", "harvest", "lantern", "meadow", "nickel", "pepper", "quartz", "saddle")


def item(rng: Random, number: int, context_length: int) -> Item:
    """One record with its question; lengths change fastest, then depths."""
    share = LENGTHS[number % len(LENGTHS)]
    depth = DEPTHS[number // len(LENGTHS) % len(DEPTHS)]
    room = min(context_length, MOST_TOKENS) - BESIDE_TOKENS
    sentences = sentences_of(rng, max(LEAST_TOKENS, share * room))
    boxes = [
        f"the {colour} box in the {place}"
        for colour, place in zip(colours(rng, _BOXES), places(rng, _BOXES), strict=True)
    ]
    passwords = rng.sample(_WORDS, _BOXES)
    told = [
        f"The password of {box} is {password}."
        for box, password in zip(boxes, passwords, strict=True)
    ]
    spread = [depth, *(rng.random() for _ in told[1:])]
    for at, sentence in sorted(zip(spread, told, strict=True), reverse=True):
        sentences.insert(round(at * len(sentences)), sentence)
    return {
        "kind": f"{share:.0%} of the context".replace("%", " %"),
        "depth": depth,
        "context": " ".join(sentences),
        "question": f"What is the password of {boxes[0]}?",
        "answer": passwords[0],
    }


def dataset(
    seed: int = 0, limit: int | None = None, context_length: int = 2048, **_: Any
) -> dict[str, datasets.Dataset]:
    """The task's items for lm-eval, made for the context that is served."""
    return as_test_split(
        drawn(TASK, seed, COUNT, limit, lambda rng, number: item(rng, number, context_length))
    )


def score(doc: Item, results: list[str]) -> dict[str, float]:
    """Whether the password is named, and no other."""
    named = {word for word in _WORDS if word in said(results[0]).lower()}
    return {"acc": float(named == {doc["answer"]})}
