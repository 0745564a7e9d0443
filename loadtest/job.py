"""What one Locust process is asked and what it tells; known on both sides of it.

It is asked a ``Job`` (Locust's own command line stays Locust's), and tells of every leg when its
window opens, when it has become quiet, its requests, and when it is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deploy.client_key import CLIENT_VARIABLE
from deploy.plan_load import AnyLoad, Load
from loadtest.dialect import Dialect
from loadtest.gpu_window import GpuWindow
from loadtest.load_kinds import AtPoint, PointKey
from loadtest.load_point import LoadPoint
from loadtest.records import RequestRecord, as_row, from_row
from loadtest.server_window import ServerWindow
from quantize.jobs.job_module import JobModule

KEY_VARIABLE = CLIENT_VARIABLE

# Above these a figure says as much about the client as about the server. 0.9 of a core is where
# Locust itself warns; 20 ms is the order of one token's time on the slowest machines we serve on.
CPU_SHARE_LIMIT = 0.9
LOOP_LAG_LIMIT_S = 0.02


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Leg(AtPoint):
    """One variant at one load point."""

    variant: str


class Job(_Message):
    """One round, or what is to be repeated of it: its legs, one after the other. Times in seconds.

    ``url`` is the server's root, ``prompts`` the file of the prompt source, ``points`` all load
    points of the plan, ``loads`` its sections that say what is sent at them. ``attempt`` counts
    the tries at this round from 0: each has prompts of its own, because an engine would answer
    those that it has seen from its cache; ``series`` counts the load tests before. So many
    ``processes`` share the load. A ``dialect`` says how an endpoint is asked that is none of
    ours: below ``url`` itself, with texts, which are what ``prompts`` then holds.
    """

    url: str
    round: int
    rounds: int
    attempt: int = 0
    series: int = 0
    points: tuple[PointKey, ...]
    legs: tuple[Leg, ...]
    loads: tuple[AnyLoad, ...]
    request_timeout_s: float
    prompts: Path
    processes: int = Field(default=1, ge=1)
    dialect: Dialect | None = None

    def load_at(self, point: LoadPoint) -> Load:
        """What is sent at a point: the section of its kind, else the first."""
        return next((it for it in self.loads if it.kind == point.kind), self.loads[0])


class ClientHealth(_Message):
    """How busy the load generator was while requests were counted.

    ``cpu_share_p95`` is of one core (gevent uses no more), ``loop_lag_p95_s`` how late a timer of
    the event loop rings, so how late an event may be seen, ``cpu_s`` the processor time that it
    used in all.
    """

    cpu_share_p95: float = Field(ge=0)
    loop_lag_p95_s: float = Field(ge=0)
    cpu_s: float | None = None

    @classmethod
    def of_all(cls, healths: Sequence["ClientHealth"]) -> "ClientHealth":
        """Of several processes: the busiest and the latest decide, processor time adds up."""
        return cls(
            cpu_share_p95=max(health.cpu_share_p95 for health in healths),
            loop_lag_p95_s=max(health.loop_lag_p95_s for health in healths),
            cpu_s=sum(health.cpu_s or 0.0 for health in healths),
        )

    @property
    def saturated(self) -> bool:
        """True where the client's own limits may show in the figures: they are void."""
        return self.cpu_share_p95 > CPU_SHARE_LIMIT or self.loop_lag_p95_s > LOOP_LAG_LIMIT_S


class LevelEnd(AtPoint):
    """A finished level; ``counted_s`` from the opening of its window to its last counted answer.

    ``neighbour_share`` is what other programs used of the processors meanwhile (0 to 1), None where
    they cannot be told from the service; ``restarts`` is how often the engine was replaced,
    ``send_lag_p99_s`` how late requests were sent that had a time to be sent at.
    ``opened_s`` is the opening on the monotonic clock that all processes of a machine share,
    ``gpus`` what the endpoint's GPUs did in the window, ``server`` what it told of itself (whoever
    started Locust knows). ``own_cores`` are the processors that the run's own programs kept busy,
    the service and this load generator.
    """

    counted_s: float
    client: ClientHealth
    neighbour_share: float | None = None
    restarts: int = 0
    opened_s: float | None = None
    gpus: tuple[GpuWindow, ...] = ()
    send_lag_p99_s: float | None = None
    own_cores: float | None = None
    server: ServerWindow | None = None


class LegBegin(_Message):
    """The window of a leg has opened: from now on requests count."""

    leg: Leg


class LegQuiet(_Message):
    """Nothing of a leg is in flight any more; its requests are told next."""

    leg: Leg


class LegEnd(_Message):
    """A leg is over, and all its requests have been told."""

    leg: Leg
    level: LevelEnd


@dataclass(frozen=True)
class RequestEnd:
    """A finished request, as a row of the records' file."""

    row: Mapping[str, Any]

    @classmethod
    def of(cls, record: RequestRecord) -> "RequestEnd":
        """The message of a record."""
        return cls(as_row(record))

    @property
    def record(self) -> RequestRecord:
        """The record of the message."""
        return from_row(self.row)


LoadMessage = RequestEnd | LegBegin | LegQuiet | LegEnd

LOAD: JobModule[Job, LoadMessage, None] = JobModule(
    module="locust",
    environment=None,
    request=Job,
    tells=(RequestEnd, LegBegin, LegQuiet, LegEnd),
    reply=type(None),
)
