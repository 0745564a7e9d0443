"""The raw record of one request, and the file that keeps one row per request.

Everything the report says about speed is computed from these rows. Times are seconds on one
monotonic clock per process; definitions follow NVIDIA AIPerf (see ``loadtest/summary.py``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.load_kinds import read_point, with_point
from loadtest.load_point import LoadPoint
from quantize.jobs.whole_file import writing


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """One request. A time that never came (an error before it) is None.

    ``scheduled_s`` is when the load model wanted the request sent, ``send_s`` when it was;
    ``first_token_s`` is the first chunk with non-empty content, ``last_token_s`` the last chunk
    that carries a token, ``end_s`` the end of the response (or when it was known to have failed).
    ``prompt_tokens`` and ``output_tokens`` come from ``usage``; ``chunks`` counts token chunks;
    ``counted`` is True for requests sent in the measuring window of their level.

    ``first_answer_s`` is the first token that is no reasoning, ``gaps_s`` lie between two chunks
    with tokens, ``finish`` is why the answer ended, in the server's word. ``prompt_hash`` begins
    the SHA-256 of the prompt's ids. An ``intruder`` is there to disturb the others. ``session``
    and ``turn`` say which request of which conversation it is. Older records have none of these.
    """

    variant: str
    round: int
    point: LoadPoint
    request_id: str
    counted: bool
    scheduled_s: float
    send_s: float
    first_token_s: float | None
    last_token_s: float | None
    end_s: float
    prompt_tokens: int
    output_tokens: int
    chunks: int
    max_gap_s: float | None
    status: int
    error: str | None
    first_answer_s: float | None = None
    gaps_s: tuple[float, ...] = ()
    finish: str | None = None
    prompt_hash: str | None = None
    intruder: bool = False
    session: int | None = None
    turn: int | None = None

    @property
    def begin_s(self) -> float:
        """When its latency begins: when it was due in an open loop, else when it was sent."""
        return self.scheduled_s if self.point.counts_from_due else self.send_s

    @property
    def ttft_s(self) -> float | None:
        """Time to first token: from its begin to the first chunk with content."""
        return None if self.first_token_s is None else self.first_token_s - self.begin_s

    @property
    def ttfo_s(self) -> float | None:
        """Time to first output: from its begin to the first token that is no reasoning."""
        return None if self.first_answer_s is None else self.first_answer_s - self.begin_s

    @property
    def e2e_s(self) -> float | None:
        """End-to-end latency: from its begin to the last chunk that carries a token."""
        return None if self.last_token_s is None else self.last_token_s - self.begin_s

    @property
    def service_e2e_s(self) -> float | None:
        """The same from the send, whatever the load: what the server alone took."""
        return None if self.last_token_s is None else self.last_token_s - self.send_s

    @property
    def send_lag_s(self) -> float:
        """How late it was sent."""
        return self.send_s - self.scheduled_s

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first: (e2e - TTFT) / (output tokens - 1)."""
        if self.first_token_s is None or self.last_token_s is None or self.output_tokens < 2:
            return None
        return (self.last_token_s - self.first_token_s) / (self.output_tokens - 1)

    @property
    def cycle_s(self) -> float:
        """From when the request was due to the end of its response.

        In a closed loop it is due when its user is free, so the cycles of a user tile its time.
        """
        return self.end_s - self.scheduled_s


_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "float": pa.float64(),
    "float | None": pa.float64(),
    "str | None": pa.string(),
    "int | None": pa.int64(),
    "tuple": pa.list_(pa.float64()),
    "LoadPoint": pa.string(),
}
SCHEMA = pa.schema(
    [
        pa.field(item.name, _TYPES[getattr(item.type, "__name__", str(item.type))])
        for item in fields(RequestRecord)
    ]
)


def as_row(record: RequestRecord) -> dict[str, Any]:
    """A record as a row of a file: the load point as its key."""
    return vars(record) | {"point": record.point.key, "gaps_s": list(record.gaps_s)}


def from_row(row: Mapping[str, Any]) -> RequestRecord:
    """The record of a row, of one that was written before there were kinds of load too."""
    content = with_point(row)
    gaps_s = tuple(content.get("gaps_s") or ())
    point = read_point(content.get("point"))
    return RequestRecord(**content | {"point": point, "gaps_s": gaps_s})


def write_records(path: Path, records: Iterable[RequestRecord]) -> None:
    """Write all rows to a parquet file, whole or not at all."""
    table = pa.Table.from_pylist([as_row(record) for record in records], schema=SCHEMA)
    with writing(path) as temporary:
        pq.write_table(table, temporary)


def read_records(path: Path) -> list[RequestRecord]:
    """Read the rows back, in the order they were written."""
    return [from_row(row) for row in pq.read_table(path).to_pylist()]
