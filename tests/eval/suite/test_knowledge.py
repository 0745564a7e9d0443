"""Questions over authored facts: true, four different choices, and nothing that is right beside it.

covers: eval/suite/tables.py
"""

from collections import Counter

import pytest

from eval.suite.draw import rng_of
from eval.suite.knowledge import AUTHORED, TOPICS, Topic, asked, items
from eval.suite.tables import TABLES, read_table


def test_there_are_enough_items_in_strata_of_enough_size() -> None:
    found = items(0)
    assert len(found) >= 900
    assert min(Counter(item["kind"] for item in found).values()) >= 14
    assert len({item["id"] for item in found}) == len(found)


@pytest.mark.parametrize("seed", [0, 7])
def test_every_item_has_four_different_choices_in_balanced_places(seed: int) -> None:
    found = items(seed)
    assert all(len(set(item["choices"])) == 4 for item in found)
    places = Counter(item["answer"] for item in found)
    assert max(places.values()) < 0.3 * len(found)


def test_the_first_items_hold_every_stratum() -> None:
    found = items(0)
    kinds = {item["kind"] for item in found}
    assert {item["kind"] for item in found[: len(kinds)]} == kinds


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.table}-{topic.kind}")
def test_the_right_choice_is_the_facts_and_no_other_choice_is_right_too(topic: Topic) -> None:
    rows = read_table(topic.table)
    for number, row in enumerate(rows):
        item = asked(topic, row, rng_of("test", 0, number))
        answer = item["choices"][item["answer"]]
        (frame,) = {
            frame
            for frame in topic.frames
            if item["question"] == frame.text.format(row[frame.given])
            and answer == row[frame.wanted]
        }
        right = {r[frame.wanted] for r in rows if r[frame.given] == row[frame.given]}
        assert right.intersection(item["choices"]) == {answer}


def test_another_seed_asks_the_same_facts_otherwise() -> None:
    one, other = items(0), items(1)
    assert len(one) == len(other)
    same = {(i["question"], *i["choices"]) for i in one} & {
        (i["question"], *i["choices"]) for i in other
    }
    assert len(same) < 0.1 * len(one)


def test_no_fact_stands_twice_in_a_table_and_every_table_is_used() -> None:
    used = {topic.table for topic in TOPICS} | {"names", "things", "topics"}
    assert {path.stem for path in TABLES.glob("*.tsv")} == used
    for path in TABLES.glob("*.tsv"):
        firsts = [next(iter(row.values())) for row in read_table(path.stem)]
        assert len(set(firsts)) == len(firsts), path.name


def test_the_authored_questions_are_among_them() -> None:
    assert len(AUTHORED.read_text().splitlines()) >= 150
    assert "What force pulls objects towards the ground?" in {i["question"] for i in items(5)}
