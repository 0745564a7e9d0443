"""What the client itself adds to what it measures, proven by each load test before and after.

The same Locust process that loads the variants meets a server which answers on an exact schedule
(``null_server.py``): at the run's own streams, and after the run at its own rate and chunk size,
which is the fastest that a variant kept. What is measured beyond the schedule was added by the
client, the loopback and that server together: an upper bound of the client's own share. A client
that adds too much voids the run, for it would measure itself.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.plan_lengths import lengths_of
from deploy.plan_load import ClosedLoopLoad
from loadtest.job import ClientHealth, Job, Leg, LegEnd
from loadtest.load_kinds import AtPoint
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.null_server import Pace, null_server, pace_name
from loadtest.prompts import PromptSource
from loadtest.records import RequestRecord
from loadtest.stats import Floats
from quantize.jobs.whole_file import write_whole

CERTIFICATE_NAME = "certificate.json"
# What may be added: so much of the run's TTFT, or so many seconds where that is more.
SHARE_LIMIT = 0.01
MEDIAN_LIMIT_S, TAIL_LIMIT_S = 0.002, 0.005
WARMUP_S, DURATION_S = 0.2, 1.5
# Longer answers would only take longer.
MOST_TOKENS = 32
TIMEOUT_S = 30.0


class Added(BaseModel):
    """Seconds beyond the schedule, at the median and the 99th percentile of the requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50_s: float
    p99_s: float


class Certified(AtPoint):
    """The client at one load point: what it added to the first token, to the last, and per gap.

    ``cpu_share`` is of the one core that it can use.
    """

    pace: Pace
    requests: int
    ttft: Added
    end: Added
    worst_gap: Added
    cpu_share: float
    saturated: bool

    @property
    def headroom(self) -> float:
        """How many times this load it could bear by its processor time."""
        return 1 / max(self.cpu_share, 1e-3)

    @property
    def why_void(self) -> str:
        """Why a run at this load and pace is void; empty: it is not."""
        return self.why_void_at(self.pace.ttft_s)

    def why_void_at(self, ttft_s: float) -> str:
        """The same of a run whose TTFT is this one."""
        if self.saturated:
            return f"the load generator is the limit at {self.point.label}"
        for word, added_s, least_s in (
            ("median", self.ttft.p50_s, MEDIAN_LIMIT_S),
            ("p99", self.ttft.p99_s, TAIL_LIMIT_S),
        ):
            limit_s = max(least_s, SHARE_LIMIT * ttft_s)
            if added_s > limit_s:
                return (
                    f"the load generator adds {1000 * added_s:.1f} ms to TTFT ({word}) at "
                    f"{self.point.label}, {1000 * limit_s:.1f} ms are allowed"
                )
        return ""

    @property
    def words(self) -> str:
        """What it adds, in one line."""
        return (
            f"{self.point.label}: the client adds {1000 * self.ttft.p50_s:.2f} ms to TTFT "
            f"(p99 {1000 * self.ttft.p99_s:.2f}), {1000 * self.end.p50_s:.2f} ms to the last token "
            f"(p99 {1000 * self.end.p99_s:.2f}); it could bear {self.headroom:.0f} times as much"
        )


class Certificate(BaseModel):
    """``<variant>/certificate.json``: the client before and after a load test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    before: tuple[Certified, ...] = ()
    after: tuple[Certified, ...]

    @property
    def why_void(self) -> str:
        """Why the run is void; empty: it is not. One reason is enough.

        What was added before is held against the TTFT of the run, which is known after it.
        """
        ttft_s = {found.point: found.pace.ttft_s for found in self.after}
        reasons = (
            found.why_void_at(ttft_s.get(found.point, found.pace.ttft_s))
            for found in (*self.after, *self.before)
        )
        return next(filter(None, reasons), "")

    def why_void_for(self, points: Iterable[LoadPoint]) -> str:
        """Why the run is void at these points; so it is at one that was not certified after it."""
        known = {found.point for found in self.after}
        for point in points:
            if point.certified_as not in known:
                return f"the load generator is not certified at {point.label}: nothing was answered"
        return self.why_void


def read_certificate(folder: Path) -> Certificate | None:
    """The certificate of a variant; None where there is none that can be read."""
    try:
        return Certificate.model_validate_json((folder / CERTIFICATE_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def write_certificate(folder: Path, found: Certificate) -> None:
    """Keep it in a variant's folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CERTIFICATE_NAME, found.model_dump_json(indent=1) + "\n")


def certified(
    records: Sequence[RequestRecord], pace: Pace, client: ClientHealth, tokens: int
) -> Certified:
    """What the records of one load point say against the schedule that was kept.

    Raises:
        LoadTestError: a request failed, though the null server fails none.
    """
    kept = [record for record in records if record.counted]
    failed = [record.error for record in kept if record.error]
    if failed or not kept:
        raise LoadTestError(f"the null server's requests failed: {failed[:1] or 'none was sent'}")
    return Certified(
        point=kept[0].point,
        pace=pace,
        requests=len(kept),
        ttft=_added([(r.ttft_s or 0.0) - pace.ttft_s for r in kept]),
        end=_added([(r.e2e_s or 0.0) - pace.end_s(tokens) for r in kept]),
        worst_gap=_added([(r.max_gap_s or pace.gap_s) - pace.gap_s for r in kept]),
        cpu_share=client.cpu_share_p95,
        saturated=client.saturated,
    )


def _added(seconds: Sequence[float]) -> Added:
    values: Floats = np.array(seconds)
    middle, tail = np.quantile(values, [0.5, 0.99], method="inverted_cdf")
    return Added(p50_s=float(middle), p99_s=float(tail))


@dataclass(kw_only=True)
class Meeting:
    """One meeting of the client with the null server: its legs as they came."""

    ends: dict[LoadPoint, LegEnd]
    records: dict[LoadPoint, list[RequestRecord]]


def meet(
    paces: Mapping[LoadPoint, Pace],
    prompts: PromptSource,
    *,
    prompt_tokens: int,
    output_tokens: int,
    duration_s: float = DURATION_S,
    processes: int = 1,
) -> Meeting:
    """Load a null server at every point, at that point's pace; blocks for some seconds each.

    The server is made of as many ``processes`` as the client.

    Raises:
        LoadTestError: Locust failed.
    """
    points = sorted(paces)
    names = {point: pace_name(place) for place, point in enumerate(points)}
    found = Meeting(ends={}, records={})

    def keep(end: LegEnd, records: list[RequestRecord]) -> None:
        found.ends[end.leg.point], found.records[end.leg.point] = end, records

    with (
        tempfile.TemporaryDirectory(prefix="assay-certificate-") as folder,
        null_server(paces=[paces[point] for point in points], processes=processes) as port,
    ):
        place = Path(folder)
        prompts.save(place / "prompts.npz")
        job = Job(
            url=f"http://127.0.0.1:{port}",
            round=0,
            rounds=1,
            points=tuple(points),
            legs=tuple(Leg(variant=names[point], point=point) for point in points),
            loads=(_load(duration_s, prompt_tokens, output_tokens),),
            request_timeout_s=TIMEOUT_S,
            prompts=place / "prompts.npz",
            processes=processes,
        )
        run_locust(job, html=place / "locust.html", log=place / "locust.log", on_leg=keep)
    return found


def _load(duration_s: float, prompt_tokens: int, output_tokens: int) -> ClosedLoopLoad:
    return ClosedLoopLoad(
        warmup_s=WARMUP_S,
        duration_s=duration_s,
        prompt_tokens=lengths_of(prompt_tokens),
        output_tokens=lengths_of(output_tokens),
    )


def certify(
    paces: Mapping[LoadPoint, Pace],
    prompts: PromptSource,
    *,
    prompt_tokens: int,
    output_tokens: int,
    processes: int = 1,
) -> tuple[Certified, ...]:
    """Certify the client, so many processes, at every load point, at that point's pace.

    Of no load point nothing is told.

    Raises:
        LoadTestError: Locust or a request failed.
    """
    if not paces:
        return ()
    tokens = min(output_tokens, MOST_TOKENS)
    found = meet(
        paces,
        prompts,
        prompt_tokens=prompt_tokens,
        output_tokens=tokens,
        processes=processes,
    )
    return tuple(
        certified(found.records[point], paces[point], found.ends[point].level.client, tokens)
        for point in sorted(paces)
    )
