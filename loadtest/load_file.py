"""``<variant>/load.json`` and ``<variant>/rounds/<k>.json``, as models that refuse unknown keys.

Version 1 of both named a load point by its concurrency, and is still read.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deploy.plan_load import AnyLoad
from loadtest.gpu_window import GpuWindow
from loadtest.intervals import Estimate
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_kinds import AtPoint
from loadtest.server_window import ServerWindow
from loadtest.summary import Answers, Part, Stalls
from loadtest.validity import CLIENT
from services.engine.agreement import Agreement
from services.engines.kernels import Kernels
from services.gpus.engine_gpu import EngineGpu

LOAD_NAME = "load.json"
REQUESTS_NAME = "requests.parquet"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(_File):
    """What was loaded, as its health route says. Sizes in bytes, None where the engine is silent.

    ``memory_bytes`` is the proportional set size of the engine's processes, ``kernels`` are what
    the engine says that it computes on, ``gpus`` where, ``agreement`` how far its answers to a
    probe are from its weights'.
    """

    variant: str
    recipe: str
    engine: str
    engine_version: str
    artifact_sha256: str
    memory_bytes: int | None
    held_weight_bytes: int | None
    kernels: Kernels | None = None
    gpus: tuple[EngineGpu, ...] = ()
    agreement: Agreement | None = None

    @property
    def gpu_memory_bytes(self) -> int | None:
        """What the engine's processes hold of its GPUs; None where one does not tell."""
        held = [gpu.memory_bytes for gpu in self.gpus]
        known = [size for size in held if size is not None]
        return sum(known) if known and len(known) == len(held) else None


class GpuLoad(_File):
    """All GPUs of an endpoint at one load point, over all rounds.

    ``power_w`` is of all of them together; ``joules_per_output_token`` that power over the output
    throughput, idle power among it. Clocks are the mean and the lowest of any, ``throttled`` the
    largest share of the time that any was held down, by reason.
    """

    power_w: float
    joules_per_output_token: Estimate | None
    sm_clock_mhz: float | None
    least_sm_clock_mhz: float | None
    throttled: dict[str, float]


class ServerLoad(_File):
    """What the server told of itself at one load point, over all rounds (``server_window.py``).

    ``cores`` are the processors that the service kept busy, the load generator's own taken off;
    None where its processes are not known.
    """

    window: ServerWindow | None = None
    cores: float | None = None


class LoadFigures(AtPoint):
    """What requests took at one load point over all rounds; times in seconds, rates per second.

    ``requests`` counts the measured requests, failed ones among them (``errors``). Percentile keys:
    p50, p90, p95, p99, of ``gap_s`` p50, p99, p99.9; one that the sample cannot certify is absent,
    one that lies among failed requests is infinite. ``ttfo_s`` is told where there was reasoning
    before an answer, ``service_e2e_s`` counts from the send where the other latencies count from
    when a request was due. ``answers`` are those of natural length, ``parts`` what is told apart.
    ``gpu`` is what the GPUs used meanwhile, ``server`` what the server told of itself; ``void``
    says why the figures may not be used. Formulas: ``loadtest/summary.py``.
    """

    requests: int
    errors: int
    ttft_s: dict[str, Estimate]
    tpot_s: dict[str, Estimate]
    e2e_s: dict[str, Estimate]
    output_tok_per_s: Estimate
    request_per_s: Estimate | None = None
    ttfo_s: dict[str, Estimate] = Field(default_factory=dict)
    service_e2e_s: dict[str, Estimate] = Field(default_factory=dict)
    gap_s: dict[str, Estimate] = Field(default_factory=dict)
    stalls: Stalls | None = None
    answers: Answers | None = None
    parts: tuple[Part, ...] = ()
    gpu: GpuLoad | None = None
    server: ServerLoad | None = None
    void: list[str] = Field(default_factory=list)


class LevelSummary(LoadFigures):
    """One load point of one variant, with what else is known of its client and its stream.

    ``error_reasons`` say how often requests failed for which reason, ``tokens_per_chunk`` how
    coarse the stream is.
    """

    request_per_s: Estimate
    error_reasons: dict[str, int]
    counted_s: float
    tokens_per_chunk: float | None
    client: ClientHealth


class RoundFile(_File):
    """``rounds/<k>.json``, written after ``rounds/<k>.parquet``: that round is finished.

    ``inputs_sha256`` is the key of ``made_from``, which schema 1 had not. ``idle_gpus`` is what the
    endpoint's GPUs did before the first request.
    """

    schema_version: Literal[1, 2] = 2
    inputs_sha256: str
    made_from: dict[str, str] = {}
    endpoint: Endpoint
    started_at: str
    seconds: float
    locust_version: str
    levels: list[LevelEnd]
    idle_gpus: tuple[GpuWindow, ...] = ()


class LoadFile(_File):
    """``load.json``, written last: the load test of this variant is finished.

    ``saturated`` voids the figures: the load generator itself was the limit. So does whatever
    stands in ``void``; ``left_out`` tells of legs that do not count. ``rounds_at`` is when each
    round began (UTC, by its number): variants that took turns in it have the same; empty in files
    of before. ``started_at`` is that of the first, ``seconds`` the wall time that all rounds spent
    on this variant. ``inputs_sha256`` is the key of ``made_from``, which schema 1 had not.
    ``idle_power_w`` is what the endpoint's GPUs draw together before the load, the model loaded.
    ``stress`` are the loads that decide nothing: what voids one of them stands there.
    """

    schema_version: Literal[1, 2] = 2
    variant: str
    inputs_sha256: str
    made_from: dict[str, str] = {}
    endpoint: Endpoint
    load: AnyLoad
    levels: list[LevelSummary]
    stress: list[LevelSummary] = []
    saturated: bool
    void: list[str] = []
    left_out: str = ""
    rounds_at: dict[int, str] = {}
    started_at: str
    seconds: float
    locust_version: str
    idle_power_w: float | None = None

    @property
    def why_void(self) -> str:
        """Why no figure of it may be used; empty: all may."""
        return "; ".join([*([CLIENT] if self.saturated else []), *self.void])
