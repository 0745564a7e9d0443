"""How many processes the load generator is made of.

One Python process takes what comes one event after the other, so an event of a batch waits for
those before it. The kernel's time stamps keep that out of the figures, but not out of the sends,
nor can a process do more than its core. So the events that a plan may bring decide.
"""

from collections.abc import Sequence
from typing import Literal

from deploy.plan_load import MOST_PROCESSES, Load
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint

# What one process gets, at a few percent of its core; sixteen fast streams of an H100.
EVENTS_PER_S = 2500.0
MOST = 16


def processes_of(loads: Sequence[Load], available: int) -> int:
    """The first load's number; else as many as the events ask for, on half of the processors.

    Requests that have a time are dealt out, so none has fewer users than there are processes: one
    without a user would leave its share unsent.
    """
    points = [(point, load) for load in loads for point in points_of(load)]
    return processes_for(points, loads[0].processes, available)


def processes_for(
    points: Sequence[tuple[LoadPoint, Load]], asked: int | Literal["auto"], available: int
) -> int:
    """The same of these load points, each with the section that says what is sent at it."""
    most = min(
        (point.users for point, _ in points if point.counts_from_due), default=MOST_PROCESSES
    )
    if asked != "auto":
        return min(asked, most)
    expected = max(point.events_per_s(round(load.output_tokens.average)) for point, load in points)
    return max(1, min(round(expected / EVENTS_PER_S), available // 2, MOST, most))
