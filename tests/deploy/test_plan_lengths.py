"""Lengths are read off their distribution by a share, and written as they were given."""

from statistics import mean, stdev

import pytest
from pydantic import TypeAdapter, ValidationError

from deploy.plan_lengths import DISTRIBUTIONS, AnyLengths, Lengths, lengths_of

SHARES = [(place + 0.5) / 20_000 for place in range(20_000)]
READ = TypeAdapter[Lengths](AnyLengths)


def drawn(**content: object) -> list[int]:
    lengths = lengths_of(content)
    return [lengths.at(share) for share in SHARES]


def test_a_number_alone_is_one_length_and_is_written_as_a_number() -> None:
    fixed = READ.validate_python(128)
    assert {fixed.at(share) for share in (0.0, 0.5, 1.0)} == {128}
    assert (fixed.words, fixed.average, READ.dump_json(fixed)) == ("128", 128, b"128")


def test_every_length_of_a_uniform_distribution_comes_equally_often() -> None:
    found = drawn(distribution="uniform", least=3, most=7)
    counts = [found.count(length) for length in range(3, 8)]
    assert sum(counts) == len(found)
    assert max(counts) - min(counts) <= 1
    assert lengths_of({"distribution": "uniform", "least": 3, "most": 7}).at(1.0) == 7


@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_mean_and_deviation_are_those_that_were_asked_for(name: str) -> None:
    found = drawn(distribution=name, mean=400, deviation=90, least=1, most=5000)
    assert mean(found) == pytest.approx(400, rel=0.01)
    assert stdev(found) == pytest.approx(90, rel=0.03)
    skew = mean(((it - 400) / 90) ** 3 for it in found)
    assert skew == pytest.approx(0.0 if name == "normal" else 0.69, abs=0.12)


@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_both_ends_are_cut_off_and_do_not_pile_up(name: str) -> None:
    found = drawn(distribution=name, mean=100, deviation=80, least=60, most=120)
    assert (min(found), max(found)) == (60, 120)
    assert found.count(60) < 3 * found.count(61)


def test_given_values_come_as_often_as_they_were_given() -> None:
    found = drawn(distribution="empirical", values=[7, 900, 7, 30])
    assert [found.count(it) for it in (7, 30, 900)] == [10_000, 5_000, 5_000]
    capped = lengths_of({"distribution": "empirical", "values": [7, 900], "most": 100})
    assert (capped.least, capped.most, capped.at(0.9)) == (7, 100, 100)


def test_what_was_written_is_read_back() -> None:
    curve = {"mean": 100, "deviation": 50, "least": 8, "most": 300}
    contents = [
        {"distribution": "uniform", "least": 3, "most": 7},
        {"distribution": "normal", **curve},
        {"distribution": "lognormal", **curve},
        {"distribution": "empirical", "values": [4, 5]},
        {"distribution": "empirical", "most": 900},
    ]
    for content in contents:
        lengths = READ.validate_python(content)
        assert READ.validate_json(READ.dump_json(lengths)) == lengths
        assert str(lengths.most) in lengths.words


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (0, "no number of tokens from 1 on"),
        (True, "no number of tokens"),
        ("128", "no number of tokens"),
        ({"distribution": "cauchy"}, ", ".join(DISTRIBUTIONS)),
        ({"distribution": "uniform", "least": 9, "most": 3}, "least = 9 is more than most = 3"),
        ({"distribution": "uniform", "least": 1, "most": 3, "mean": 2}, "mean"),
        ({"distribution": "normal", "least": 1, "most": 3}, "deviation"),
        ({"distribution": "empirical"}, "most"),
    ],
)
def test_what_is_no_length_is_refused_and_says_why(content: object, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        READ.validate_python(content)
