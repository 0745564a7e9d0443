"""A sweep goes on while more streams bring more, and says where they no longer do."""

import pytest

from deploy.plan_load import SweepLoad
from loadtest.load_kinds import points_of, read_point
from loadtest.sweep import Saturation, Sweep, saturation


def test_its_steps_are_powers_of_two_up_to_the_most_streams() -> None:
    points = points_of(SweepLoad(kind="sweep", most_streams=20))
    assert [point.amount for point in points] == [1, 2, 4, 8, 16]
    assert [point.users for point in points] == [1, 2, 4, 8, 16]
    assert points_of(SweepLoad(kind="sweep", most_streams=16)) == points
    assert read_point("sweep:8") == Sweep(8)


@pytest.mark.parametrize(
    ("rates", "goes_on"),
    [
        ([100], True),
        ([100, 101], True),
        ([100, 101, 150], True),
        ([100, 150, 152, 180], True),
        ([100, 180, 185, 190], False),
        ([100, 180, 150, 160], False),
        ([100, 105, 108], False),
    ],
)
def test_it_ends_when_two_doublings_brought_less_than_a_tenth(
    rates: list[float], goes_on: bool
) -> None:
    assert Sweep.goes_on(rates) is goes_on


def test_it_is_saturated_at_the_fewest_streams_that_bring_nearly_the_most() -> None:
    steps = [(1, 100.0), (2, 180.0), (4, 296.0), (8, 300.0), (16, 290.0)]
    assert saturation(steps) == Saturation(streams=4, reached=True)
    assert saturation(steps[:3]) == Saturation(streams=4, reached=False)
