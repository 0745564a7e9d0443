from random import Random

from eval.suite.draw import Item, drawn, interleaved


def one(rng: Random, number: int) -> Item:
    return {"kind": str(number % 2), "value": rng.random()}


def test_the_same_seed_draws_the_same_items_and_another_seed_fresh_ones() -> None:
    assert drawn("task", 3, 5, None, one) == drawn("task", 3, 5, None, one)
    values = [{item["value"] for item in drawn("task", seed, 5, None, one)} for seed in (3, 4)]
    assert values[0].isdisjoint(values[1])


def test_more_items_begin_with_the_fewer_and_never_run_out() -> None:
    few, many = drawn("task", 0, 5, None, one), drawn("task", 0, 5, 5000, one)
    assert len(many) == 5000
    assert many[:5] == few
    assert drawn("task", 0, 5, 2, one) == few


def test_the_first_of_interleaved_strata_are_as_mixed_as_all() -> None:
    assert list(interleaved(["aaaa", "bb", "c"])) == ["a", "b", "c", "a", "b", "a", "a"]
    assert list(interleaved([])) == []
