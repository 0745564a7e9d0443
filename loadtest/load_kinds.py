"""The kinds of load, and how a load point comes from a plan and from a file."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, model_validator

from deploy.plan_load import Load
from loadtest.closed_loop import ClosedLoop
from loadtest.contamination import Contaminated
from loadtest.load_point import LoadPoint
from loadtest.open_loop import BurstyRate, ConstantRate, PoissonRate
from loadtest.ramp import Ramp
from loadtest.sessions import Agent, Chat
from loadtest.sweep import Sweep
from loadtest.trace_replay import TraceReplay

LOAD_KINDS: dict[str, type[LoadPoint]] = {
    kind.kind: kind
    for kind in (
        ClosedLoop,
        ConstantRate,
        PoissonRate,
        BurstyRate,
        Ramp,
        Sweep,
        Contaminated,
        Chat,
        Agent,
        TraceReplay,
    )
}
# What files of before there were kinds say in the place of the point.
_OLD_KEY = "concurrency"


def points_of(load: Load) -> tuple[LoadPoint, ...]:
    """The load points of a plan, ascending."""
    return tuple(sorted(LOAD_KINDS[load.kind](amount) for amount in load.amounts))


def all_points(loads: Iterable[Load]) -> tuple[LoadPoint, ...]:
    """The points of several sections, those of the first one first."""
    return tuple(point for load in loads for point in points_of(load))


def pick(points: Iterable[LoadPoint], amount: float | None) -> LoadPoint | None:
    """The point of that amount, of those given; the highest where none is asked for."""
    if amount is None:
        return max(points, default=None)
    return next((point for point in points if point.amount == amount), None)


def read_point(key: object) -> LoadPoint:
    """The point of a key as files hold it.

    Raises:
        ValueError: it names no kind of load that is known here, or no amount.
    """
    if isinstance(key, LoadPoint):
        return key
    kind, _, amount = str(key).partition(":")
    if kind not in LOAD_KINDS:
        raise ValueError(f"{key!r} is no load point (kinds: {', '.join(LOAD_KINDS)})")
    return LOAD_KINDS[kind](float(amount))


def with_point(content: Mapping[str, Any]) -> dict[str, Any]:
    """A row or an object of a file with its load point under ``point``, as key.

    What was written before there were kinds of load names a closed loop by its concurrency.
    """
    if _OLD_KEY not in content:
        return dict(content)
    rest = {name: value for name, value in content.items() if name != _OLD_KEY}
    return {"point": ClosedLoop(content[_OLD_KEY]).key, **rest}


PointKey = Annotated[LoadPoint, PlainValidator(read_point), PlainSerializer(lambda it: it.key)]
"""A load point as a field of a file."""


class AtPoint(BaseModel):
    """A part of a result file that tells of one load point."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point: PointKey

    @model_validator(mode="before")
    @classmethod
    def _with_point(cls, content: Any) -> Any:
        return with_point(content) if isinstance(content, dict) else content
