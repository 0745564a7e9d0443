"""``<variant>/load.json`` and ``<variant>/rounds/<k>.json``, as models that refuse unknown keys.

Version 1 of both named a load point by its concurrency, and is still read.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from deploy.plan_load import AnyLoad
from loadtest.intervals import Estimate
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_kinds import AtPoint
from loadtest.validity import CLIENT
from services.engines.kernels import Kernels

LOAD_NAME = "load.json"
REQUESTS_NAME = "requests.parquet"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(_File):
    """What was loaded, as its health route says. Sizes in bytes, None where the engine is silent.

    ``memory_bytes`` is the proportional set size of the engine's processes, ``kernels`` are what
    the engine says that it computes on.
    """

    variant: str
    recipe: str
    engine: str
    engine_version: str
    artifact_sha256: str
    memory_bytes: int | None
    held_weight_bytes: int | None
    kernels: Kernels | None = None


class LevelSummary(AtPoint):
    """One load point over all rounds; times in seconds, rates per second.

    ``requests`` counts the measured requests, failed ones among them (``errors``, with how often
    for which reason). Percentile keys: p50, p90, p95, p99; one that the sample cannot certify is
    absent. ``tokens_per_chunk`` tells how coarse the stream is. Formulas: ``loadtest/summary.py``.
    """

    requests: int
    errors: int
    error_reasons: dict[str, int]
    counted_s: float
    ttft_s: dict[str, Estimate]
    tpot_s: dict[str, Estimate]
    e2e_s: dict[str, Estimate]
    output_tok_per_s: Estimate
    request_per_s: Estimate
    tokens_per_chunk: float | None
    client: ClientHealth


class RoundFile(_File):
    """``rounds/<k>.json``, written after ``rounds/<k>.parquet``: that round is finished.

    ``inputs_sha256`` is the key of ``made_from``, which schema 1 had not.
    """

    schema_version: Literal[1, 2] = 2
    inputs_sha256: str
    made_from: dict[str, str] = {}
    endpoint: Endpoint
    started_at: str
    seconds: float
    locust_version: str
    levels: list[LevelEnd]


class LoadFile(_File):
    """``load.json``, written last: the load test of this variant is finished.

    ``saturated`` voids the figures: the load generator itself was the limit. So does whatever
    stands in ``void``. ``rounds_at`` is when each round began (UTC, by its number): variants that
    took turns in it have the same; empty in files of before. ``started_at`` is that of the first,
    ``seconds`` the wall time that all rounds spent on this variant. ``inputs_sha256`` is the key of
    ``made_from``, which schema 1 had not.
    """

    schema_version: Literal[1, 2] = 2
    variant: str
    inputs_sha256: str
    made_from: dict[str, str] = {}
    endpoint: Endpoint
    load: AnyLoad
    levels: list[LevelSummary]
    saturated: bool
    void: list[str] = []
    rounds_at: dict[int, str] = {}
    started_at: str
    seconds: float
    locust_version: str

    @property
    def why_void(self) -> str:
        """Why no figure of it may be used; empty: all may."""
        return "; ".join([*([CLIENT] if self.saturated else []), *self.void])
