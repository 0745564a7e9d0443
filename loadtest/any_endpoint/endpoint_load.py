"""Loads an endpoint that Assay did not start, and keeps what it keeps of its own: records, figures,
certificate, Locust's report.

What only our own endpoints tell is missing: artifact, engine, memory, and which neighbours used
the machine.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from deploy.plan_load import Load
from loadtest.any_endpoint.probe import Found
from loadtest.certificate import Certificate, Certified, certify, write_certificate
from loadtest.certifying import USUAL_PACE, fastest_paces, timed
from loadtest.job import Job, Leg, LegEnd, LevelEnd
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, Endpoint, LoadFile
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.merging import summarize_level
from loadtest.null_server import Pace
from loadtest.processes import processes_of
from loadtest.prompts import plain_prompts
from loadtest.records import RequestRecord, write_records
from loadtest.target import write_result
from loadtest.texts import Texts, save_texts
from loadtest.validity import void_reasons
from quantize.jobs.whole_file import writing
from quantize.processors import usable_cpus

UNTOLD = "not told"
TIMEOUT_S = 300.0
# Other programs of this machine are not looked for: it serves nothing here.
ANY_NEIGHBOUR = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be measured: an endpoint, how it is asked, and under which load.

    A request fails that is not answered within ``timeout_s``.
    """

    url: str
    key: str
    found: Found
    load: Load
    texts: Texts
    folder: Path
    timeout_s: float = TIMEOUT_S

    @property
    def variant(self) -> str:
        """The endpoint's name in records: its model, as a folder may be called."""
        return "".join(c if c.isalnum() or c in "-._" else "-" for c in self.found.dialect.model)


@dataclass(kw_only=True)
class _Kept:
    ends: list[LevelEnd] = field(default_factory=list)
    records: list[RequestRecord] = field(default_factory=list)


def run_folder(results: Path, url: str, model: str, load: Load) -> Path:
    """``results/url-<8 hex digits>``: the same endpoint and load, the same folder."""
    key = "\n".join([url, model, load.model_dump_json()])
    return results / f"url-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def load_endpoint(asked: Asked, say: Say) -> tuple[LoadFile, Certificate]:
    """Measure all rounds, and certify the client before and after; blocks for the whole load.

    Raises:
        LoadTestError: Locust failed, or no request of a load point was answered.
    """
    started, began = datetime.now(UTC).isoformat(timespec="milliseconds"), monotonic()
    asked.folder.mkdir(parents=True, exist_ok=True)
    save_texts(asked.folder / "prompts.json", asked.texts)
    before = _certify(asked, dict.fromkeys(points_of(asked.load), USUAL_PACE))
    kept = _Kept()
    for number in range(asked.load.rounds):
        _round(asked, number, kept, say)
    result = _summed(asked, kept, started, monotonic() - began)
    paces = fastest_paces(timed(result.levels, lambda: kept.records))
    certificate = Certificate(before=before, after=_certify(asked, paces))
    write_records(asked.folder / REQUESTS_NAME, kept.records)
    write_certificate(asked.folder, certificate)
    write_result(asked.folder / LOAD_NAME, result)
    return result, certificate


def _certify(asked: Asked, paces: Mapping[LoadPoint, Pace]) -> tuple[Certified, ...]:
    load = asked.load
    return certify(
        paces,
        plain_prompts(),
        prompt_tokens=round(load.prompt_tokens.average),
        output_tokens=round(load.output_tokens.average),
        processes=processes_of([load], usable_cpus()),
    )


def _round(asked: Asked, number: int, kept: _Kept, say: Say) -> None:
    legs = tuple(Leg(variant=asked.variant, point=p) for p in points_of(asked.load))

    def keep(end: LegEnd, records: list[RequestRecord]) -> None:
        kept.ends.append(end.level)
        kept.records += records
        good = sum(record.error is None for record in records if record.counted)
        say(f"round {number + 1}/{asked.load.rounds}  {end.leg.point.label:<12} {good} answers")

    with writing(asked.folder / f"locust-round{number}.html") as html:
        run_locust(
            _job(asked, number, legs),
            html=html,
            log=asked.folder / f"locust-round{number}.log",
            on_leg=keep,
            key=asked.key,
        )


def _job(asked: Asked, number: int, legs: tuple[Leg, ...]) -> Job:
    load = asked.load
    return Job(
        url=asked.url,
        round=number,
        rounds=load.rounds,
        points=points_of(load),
        legs=legs,
        loads=(load,),
        request_timeout_s=asked.timeout_s,
        prompts=asked.folder / "prompts.json",
        processes=processes_of([load], usable_cpus()),
        dialect=asked.found.dialect,
    )


def _summed(asked: Asked, kept: _Kept, started: str, seconds: float) -> LoadFile:
    levels = []
    for point in points_of(asked.load):
        mine = [record for record in kept.records if record.point == point]
        if not any(record.counted and record.error is None for record in mine):
            reason = next((r.error for r in mine if r.error), "none was sent in the window")
            raise LoadTestError(f"{asked.url}: no request at {point.place} was answered: {reason}")
        ends = [end for end in kept.ends if end.point == point]
        levels.append(summarize_level(mine, ends, load=asked.load))
    return LoadFile(
        variant=asked.variant,
        inputs_sha256="",
        endpoint=Endpoint(
            variant=asked.variant,
            recipe=UNTOLD,
            engine=asked.found.server or UNTOLD,
            engine_version=UNTOLD,
            artifact_sha256=UNTOLD,
            memory_bytes=None,
            held_weight_bytes=None,
        ),
        load=asked.load,
        levels=levels,
        saturated=any(level.client.saturated for level in levels),
        void=void_reasons(kept.ends, ANY_NEIGHBOUR),
        started_at=started,
        seconds=seconds,
        locust_version=version("locust"),
    )
