from typing import Any

import pytest

from deploy.plan_load import ClosedLoopLoad, Load, OpenLoopLoad
from loadtest.processes import MOST, processes_of


def streams(*counts: int, **changes: Any) -> Load:
    return ClosedLoopLoad(concurrencies=counts, **changes)


@pytest.mark.parametrize(
    ("load", "available", "expected"),
    [
        (streams(1, 4, 16), 2, 1),
        (streams(64), 2, 1),
        (streams(64), 16, 4),
        (streams(64), 4, 2),
        (streams(4096), 256, MOST),
        (OpenLoopLoad(kind="poisson", rates_per_s=(5.0,), output_tokens=64), 16, 1),
        (OpenLoopLoad(kind="poisson", rates_per_s=(500.0,), output_tokens=64), 32, 13),
        (streams(1, processes=3), 2, 3),
        # 16 users: a process without one would leave its share of the schedule unsent.
        (OpenLoopLoad(kind="poisson", rates_per_s=(0.5,), processes=40), 64, 16),
    ],
)
def test_the_events_to_expect_and_the_processors_decide(
    load: Load, available: int, expected: int
) -> None:
    assert processes_of([load], available) == expected


def test_the_load_that_brings_most_events_decides() -> None:
    assert processes_of([streams(1), streams(64)], 16) == 4
    assert processes_of([streams(1, processes=3), streams(64)], 16) == 3


def test_the_number_of_processes_is_written_only_where_it_was_chosen() -> None:
    assert "processes" not in streams(4).model_dump()
    assert streams(4, processes=2).model_dump()["processes"] == 2
