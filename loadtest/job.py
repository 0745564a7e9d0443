"""What one Locust process is told and what it tells back.

It is told a ``Job`` in an environment variable (Locust's own command line stays Locust's), and
writes one line of JSON to its standard output per finished request and per finished level.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from deploy.client_key import CLIENT_VARIABLE
from loadtest.load_kinds import AtPoint, PointKey
from loadtest.records import RequestRecord, as_row, from_row

JOB_VARIABLE = "ASSAY_LOAD_JOB"
KEY_VARIABLE = CLIENT_VARIABLE

# Above these a figure says as much about the client as about the server. 0.9 of a core is where
# Locust itself warns; 20 ms is the order of one token's time on the slowest machines we serve on.
CPU_SHARE_LIMIT = 0.9
LOOP_LAG_LIMIT_S = 0.02


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(_Message):
    """One round of one variant: all levels, ascending. Times in seconds.

    ``url`` is the server's root, ``prompts`` the file of the prompt source; ``parent_pid`` is the
    process whose end ends the load.
    """

    variant: str
    url: str
    round: int
    rounds: int
    points: tuple[PointKey, ...]
    warmup_s: float
    duration_s: float
    prompt_tokens: int
    output_tokens: int
    request_timeout_s: float
    prompts: Path
    parent_pid: int


class ClientHealth(_Message):
    """How busy the load generator was while requests were counted.

    ``cpu_share_p95`` is of one core (gevent uses no more), ``loop_lag_p95_s`` how late a timer of
    the event loop rings, so how late an event may be seen.
    """

    cpu_share_p95: float = Field(ge=0)
    loop_lag_p95_s: float = Field(ge=0)

    @property
    def saturated(self) -> bool:
        """True where the client's own limits may show in the figures: they are void."""
        return self.cpu_share_p95 > CPU_SHARE_LIMIT or self.loop_lag_p95_s > LOOP_LAG_LIMIT_S


class LevelEnd(AtPoint):
    """A finished level; ``counted_s`` from the opening of its window to its last counted answer."""

    counted_s: float
    client: ClientHealth


def encode(message: RequestRecord | LevelEnd) -> str:
    """One line of output (without the line feed)."""
    content = as_row(message) if isinstance(message, RequestRecord) else message.model_dump()
    return json.dumps({type(message).__name__: content})


def decode(line: str) -> RequestRecord | LevelEnd | None:
    """The message of one line; None for what Locust or a library printed for itself."""
    if not line.startswith('{"'):
        return None
    match json.loads(line):
        case {"RequestRecord": content}:
            return from_row(content)
        case {"LevelEnd": content}:
            return LevelEnd.model_validate(content)
    return None
