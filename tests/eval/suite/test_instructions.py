"""Rules that a program checks: told in words, kept by what keeps them, broken by what does not.

covers: eval/suite/constraints.py
"""

import json
from collections import Counter
from typing import Any

import pytest

from eval.suite.constraints import CHECKS, holds, told
from eval.suite.draw import rng_of
from eval.suite.instructions import COUNT, LEVELS, TASK, dataset, item, score


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        ({"kind": "exactly", "text": "Egg"}, '"egg".', "an egg"),
        ({"kind": "list", "words": ["Ida", "Ben"]}, "Ida, Ben.", "Ben, Ida"),
        ({"kind": "at_most_words", "count": 3}, "one two-fold three", "one two three four"),
        ({"kind": "at_least_words", "count": 3}, "one two three", "one two"),
        ({"kind": "sentences", "count": 2}, "It rains. It pours!", "It rains."),
        ({"kind": "bullets", "count": 2}, "- a\n- b", "- a\nb"),
        ({"kind": "lines", "count": 2}, "a\n\nb", "a"),
        ({"kind": "lowercase"}, "all small, 3 of them", "All small"),
        ({"kind": "uppercase"}, "ALL LARGE", "ALL large"),
        ({"kind": "contains", "word": "net"}, "The Net is full", "The nets are full"),
        ({"kind": "avoids", "word": "net"}, "The nets are full", "A net."),
        ({"kind": "no_commas"}, "a and b", "a, b"),
        ({"kind": "begins", "text": "Dear"}, "dear friend", "My dear"),
        ({"kind": "ends", "text": "the end"}, 'So it went. The end."', "The end is near"),
        ({"kind": "quoted"}, '"yes"', 'he said "yes"'),
        ({"kind": "json_list", "count": 2}, '["a", "b"]', '["a", 2]'),
    ],
)
def test_a_rule_is_kept_or_broken(rule: dict[str, Any], kept: str, broken: str) -> None:
    assert holds(rule, kept)
    assert not holds(rule, broken)
    assert not holds(rule, "  ")


def test_every_rule_that_is_drawn_is_told_in_the_question() -> None:
    kinds = set()
    for number in range(2000):
        found = item(rng_of(TASK, 0, number), number)
        for rule in json.loads(found["rules"]):
            kinds.add(rule["kind"])
            if rule["kind"] not in {"exactly", "list"}:
                assert told(rule) in found["question"]
    assert kinds == CHECKS.keys() - {"begins", "quoted"}


def test_there_are_enough_requests_and_all_levels_have_as_many() -> None:
    found = dataset()["test"]
    assert len(found) == COUNT >= 200
    assert set(Counter(found["kind"]).values()) == {COUNT // len(LEVELS)}


def test_the_rules_of_one_request_can_all_be_kept() -> None:
    """By one of two texts: with capitals or without, of as many words, lines and marks as asked."""
    for number in range(5, 1200, 6):
        rules = json.loads(item(rng_of(TASK, 0, number), number)["rules"])
        assert len({rule["kind"] for rule in rules}) == 4
        assert any(all(holds(rule, text) for rule in rules) for text in candidates(rules))


def candidates(rules: list[dict[str, Any]]) -> list[str]:
    by_kind = {rule["kind"]: rule for rule in rules}
    count = next((r["count"] for r in rules if "count" in r), 1)
    word = by_kind.get("contains", {"word": "so"})["word"]
    end = by_kind.get("ends", {"text": "done"})["text"]
    if "bullets" in by_kind:
        text = "\n".join(f"- {word}" for _ in range(count - 1)) + f"\n- {end}"
        text = text if word in text or count > 1 else f"- {word} {end}"
    elif "lines" in by_kind:
        text = "\n".join([word] * (count - 1) + [end])
    elif "sentences" in by_kind:
        text = " ".join([f"{word}."] * (count - 1) + [f"{word} {end}."])
    elif "at_least_words" in by_kind:
        text = " ".join([word] * count + [end])
    else:
        text = f"{word} {end}"
    return [text, text.upper()]


def test_all_rules_count_together() -> None:
    rules = json.dumps([{"kind": "lowercase"}, {"kind": "contains", "word": "net"}])
    assert score({"rules": rules}, ["a net"]) == {"acc": 1.0}
    assert score({"rules": rules}, ["A net"]) == {"acc": 0.0}
    assert score({"rules": rules}, ["<think>A NET?</think> a net"]) == {"acc": 1.0}
