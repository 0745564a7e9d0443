import json
from collections import Counter

from eval.suite.texts import DRAWN, DRAWN_PER_KIND, texts


def test_the_strata_hold_what_is_authored_and_what_is_drawn() -> None:
    kinds = Counter(texts()["test"]["kind"])
    assert all(kinds[kind] == DRAWN_PER_KIND for kind in DRAWN)
    assert {"chats", "code", "python", "maths", "languages", "narrative"} <= kinds.keys()


def test_another_seed_draws_other_texts_and_keeps_the_authored_ones() -> None:
    one, other = (set(texts(seed=seed)["test"]["text"]) for seed in (0, 1))
    assert len(one & other) == len(one) - DRAWN_PER_KIND * len(DRAWN)


def test_records_are_json_and_tables_are_whole() -> None:
    found = texts()["test"]
    for kind, text in zip(found["kind"], found["text"], strict=True):
        if kind == "records":
            assert json.loads(text)["total"] == 5
        if kind == "tables":
            assert {line.count("|") for line in text.splitlines()} == {4}
