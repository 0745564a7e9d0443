"""The benchmarks' tables."""

from tests.benches.harness.bench_figures import at_most
from tests.benches.harness.bench_table import columns, figures_table


def test_columns_are_as_wide_as_their_words_and_values_stand_to_the_right() -> None:
    assert columns(("a", "value"), [("longer", "1"), ("b", "22")]) == (
        "a       value\nlonger      1\nb          22"
    )


def test_a_figure_is_told_with_its_limit_and_whether_that_is_met() -> None:
    figures = [
        at_most("near", 1, "s", 2, 4),
        at_most("far", 3, "s", 2),
        at_most("told", 12345.6, "s", None),
    ]
    near, far, told = figures_table(figures).splitlines()[1:]
    assert near.split() == ["near", "1", "s", "4", "2", "met"]
    assert far.split() == ["far", "3", "s", "–", "2", "NOT", "MET"]
    assert told.split() == ["told", "12,346", "s", "–", "–"]
