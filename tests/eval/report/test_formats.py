"""Numbers are written for reading."""

import pytest

from eval.report import formats
from loadtest.intervals import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [(412.34, "412"), (38.12, "38.1"), (4.212, "4.21"), (0.01234, "0.0123"), (12345.6, "12,346"),
     (0, "0"), (-0.5, "−0.500")],
)  # fmt: skip
def test_three_significant_digits_without_exponents(value: float, text: str) -> None:
    assert formats.significant(value) == text


def test_a_difference_has_a_sign_unless_it_is_zero() -> None:
    assert formats.difference("accuracy", -0.0061) == "−0.6"
    assert formats.difference("accuracy", 0.004) == "+0.4"
    assert formats.difference("accuracy", -0.0001) == "0.0"
    assert formats.difference("nll_per_token", 0.0311) == "+0.031"


def test_latencies_below_a_second_are_milliseconds() -> None:
    assert formats.seconds(0.0841) == "84.1 ms"
    assert formats.seconds(1.234) == "1.23 s"


def test_sizes_use_binary_units() -> None:
    assert formats.size(25_165_824) == "24.0 MiB"
    assert formats.size(512) == "512 B"


def test_wall_times_grow_with_their_unit() -> None:
    assert [formats.duration(s) for s in (12.34, 185, 3725)] == [
        "12.3 s",
        "3 min 05 s",
        "1 h 02 min",
    ]


def test_an_estimate_without_bounds_has_no_interval() -> None:
    assert formats.interval(Estimate(value=1, low=None, high=None), str) == ""


def test_a_p_value_is_never_zero() -> None:
    assert formats.p_value(1e-9) == "< 0.001"


def test_ticks_lose_trailing_zeros_but_keep_their_unit() -> None:
    assert formats.trimmed("30.0 ms") == "30 ms"
    assert formats.trimmed("100") == "100"
