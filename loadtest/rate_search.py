"""Searches the highest rate of arrivals at which each served variant meets the plan's SLO.

``<run>/<variant>/slo.json`` keeps every trial, so that a search goes on where it stopped; a trial
that was disturbed does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.plan import Plan
from deploy.plan_sections import Slo
from loadtest.endpoint import (
    EndpointError,
    ReadyHealth,
    as_endpoint,
    read_health,
    replaced,
    same_health,
)
from loadtest.inputs import measured_from
from loadtest.intervals import Estimate
from loadtest.job import Job, Leg, LegEnd, LevelEnd
from loadtest.legs import Say
from loadtest.load_file import Endpoint
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.neighbours import watch_service
from loadtest.open_loop import BLOCK, PoissonRate
from loadtest.processes import processes_for
from loadtest.prompts import ATTEMPTS, PromptSource
from loadtest.records import RequestRecord
from loadtest.run_directory import RESULTS_DIR, begin_series, open_run
from loadtest.slo_search import Trial, none_passes, rate_estimate, searching
from loadtest.summary import meets
from loadtest.validity import why_void
from quantize.jobs.whole_file import write_whole, writing
from quantize.processors import usable_cpus
from quantize.validity.made_from import key_of

SLO_NAME = "slo.json"
# Requests of a trial, and how long it lasts at most where they come slowly.
REQUESTS, LONGEST_S = 600, 60.0
WARMUP_REQUESTS, LONGEST_WARMUP_S = 50, 15.0
MOST_TRIALS = 60
FIRST_RATE = 1.0


class SloFile(BaseModel):
    """``slo.json``: what was tried at a variant, and the rate that follows (requests a second).

    ``inputs_sha256`` is the key of ``made_from``: trials of other inputs are forgotten.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    variant: str
    inputs_sha256: str
    made_from: dict[str, str]
    slo: Slo
    artifact_sha256: str
    trials: tuple[Trial, ...]
    rate_per_s: Estimate | None


def read_slo(folder: Path) -> SloFile | None:
    """The search of a variant; None where there is none that can be read."""
    try:
        return SloFile.model_validate_json((folder / SLO_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def search(
    plan: Plan,
    prompts: PromptSource,
    *,
    say: Say,
    most_trials: int = MOST_TRIALS,
    results: Path = RESULTS_DIR,
) -> Mapping[str, SloFile]:
    """Search for every variant; blocks for all trials, some seconds each.

    One that is not ready, or fails, is told and left out of what is returned.

    Raises:
        ValueError: the plan has no SLO.
        EndpointError: the baseline is not ready.
    """
    slo = plan.objectives.slo
    if slo == Slo():
        raise ValueError("objectives.slo: a search needs a limit: ttft_s, tpot_s or e2e_s")
    run = open_run(plan, results)
    prompts_file = run / "prompts.npz"
    prompts.save(prompts_file)
    found: dict[str, SloFile] = {}
    series = begin_series(results, plan.serving.url)
    for name in plan.variants:
        try:
            endpoint = as_endpoint(read_health(plan.serving.url, name))
        except EndpointError as error:
            if name == plan.baseline:
                raise
            say(f"FAILED  {error}")
            continue
        trials = Trials(
            plan=plan, prompts_file=prompts_file, run=run, series=series, endpoint=endpoint
        )
        try:
            found[name] = _search(trials, endpoint, prompts, say, most_trials)
        except (EndpointError, LoadTestError) as error:
            say(f"FAILED  {error}")
    return found


def _search(
    ground: "Trials", endpoint: Endpoint, prompts: PromptSource, say: Say, most_trials: int
) -> SloFile:
    plan, name = ground.plan, endpoint.variant
    folder, slo = ground.run / name, plan.objectives.slo
    made_from = {
        **measured_from(plan, endpoint, ground.job(name, FIRST_RATE, 0), prompts),
        "slo": slo.model_dump_json(),
    }
    stored = read_slo(folder)
    same = stored is not None and stored.inputs_sha256 == key_of(made_from)
    trials = list(stored.trials) if stored is not None and same else []
    attempt, least = partial(ground.attempt, name), BLOCK / LONGEST_S
    for trial in searching([*trials], FIRST_RATE, most_trials, attempt, least):
        trials.append(trial)
        _write(folder, endpoint, made_from, slo, trials)
        say(f"{name:<24} {trial.rate:7.2f} /s  {trial.met}/{trial.requests} meet the SLO")
    result = _write(folder, endpoint, made_from, slo, trials)
    say(f"{name}: {search_words(trials, result.rate_per_s)}")
    return result


def search_words(trials: Sequence[Trial], found: Estimate | None) -> str:
    """What a search came to."""
    if trials and none_passes(trials):
        lowest = min(trials, key=lambda it: it.rate)
        return (
            f"no rate that was tried meets the SLO: at {lowest.rate:.2f} requests a second "
            f"{lowest.met} of {lowest.requests} do; see objectives.slo"
        )
    return rate_words(found)


def rate_words(found: Estimate | None) -> str:
    """The result in one phrase."""
    if found is None:
        return "the trials do not enclose a rate at which the SLO is just met"
    bounds = f" ({found.low:.2f} to {found.high:.2f})" if found.bounds else ""
    return f"meets the SLO up to {found.value:.2f}{bounds} requests a second"


def _write(
    folder: Path, endpoint: Endpoint, made_from: dict[str, str], slo: Slo, trials: Sequence[Trial]
) -> SloFile:
    result = SloFile(
        variant=endpoint.variant,
        inputs_sha256=key_of(made_from),
        made_from=made_from,
        slo=slo,
        artifact_sha256=endpoint.artifact_sha256,
        trials=tuple(trials),
        rate_per_s=rate_estimate(trials) if trials else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SLO_NAME, result.model_dump_json(indent=1) + "\n")
    return result


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Tries rates at the variants of a plan; ``series`` is how many load tests there were before.

    ``run`` is the run's folder, ``prompts_file`` what ``PromptSource.save`` wrote; ``endpoint`` is
    what may not be replaced meanwhile, None of a server that tells no health.
    """

    plan: Plan
    prompts_file: Path
    run: Path
    series: int
    endpoint: Endpoint | None = None

    def job(self, variant: str, rate: float, number: int) -> Job:
        """A trial: its number takes the place of a round's, so arrivals and prompts are its own."""
        point, plan = PoissonRate(rate), self.plan
        load = plan.load.model_copy(update=trial_times(rate, plan.load.warmup_s))
        return Job(
            url=plan.serving.url,
            round=number,
            # So many trials have prompts of their own: --trials may ask for more than are usual.
            rounds=MOST_TRIALS * 2,
            points=(point,),
            legs=(Leg(variant=variant, point=point),),
            loads=(load,),
            request_timeout_s=plan.serving.request_timeout_s,
            prompts=self.prompts_file,
            series=self.series,
            processes=processes_for([(point, load)], load.processes, usable_cpus()),
        )

    def attempt(self, variant: str, rate: float, number: int) -> Trial:
        """One trial; one that was disturbed is tried once more.

        Raises:
            LoadTestError: Locust failed, the second try was disturbed too, or nothing was asked.
            EndpointError: the endpoint is not ready, or another one than before.
        """
        limit = self.plan.load.neighbour_limit
        for again in range(ATTEMPTS):
            job = self.job(variant, rate, number).model_copy(update={"attempt": again})
            level, records = self._measured(variant, job)
            if (why := why_void(level, limit)) is None:
                return trial_of(variant, rate, records, self.plan.objectives.slo)
        raise LoadTestError(f"{variant}: a trial at {rate:.2f} /s is void twice: {why}")

    def _measured(self, variant: str, job: Job) -> tuple[LevelEnd, list[RequestRecord]]:
        """A trial, which says how often its engine was replaced meanwhile."""
        before = self._health()
        end, records = self._run(variant, job)
        after = self._health()
        restarts = replaced(before, after) if after is not None else 0
        return end.level.model_copy(update={"restarts": restarts}), records

    def _health(self) -> ReadyHealth | None:
        return same_health(self.plan.serving.url, self.endpoint) if self.endpoint else None

    def _run(self, variant: str, job: Job) -> tuple[LegEnd, list[RequestRecord]]:
        kept: list[tuple[LegEnd, list[RequestRecord]]] = []
        folder = self.run / variant
        folder.mkdir(parents=True, exist_ok=True)
        with writing(folder / "locust-slo.html") as html:
            run_locust(
                job,
                html=html,
                log=folder / "locust-slo.log",
                on_leg=lambda end, records: kept.append((end, records)),
                watch=watch_service(self.plan.serving),
            )
        # What was sent late, as a server far beyond its rate kept all users, is late for the SLO.
        return kept[-1]


def trial_times(rate: float, warmup_s: float) -> dict[str, float]:
    """How long a trial warms up and lasts (s): a queue takes many requests to become what it is."""
    return {
        "warmup_s": max(warmup_s, min(LONGEST_WARMUP_S, WARMUP_REQUESTS / rate)),
        "duration_s": min(LONGEST_S, REQUESTS / rate),
    }


def trial_of(variant: str, rate: float, records: Sequence[RequestRecord], slo: Slo) -> Trial:
    """What the records of a trial say.

    Raises:
        LoadTestError: there are none.
    """
    mine = [record for record in records if record.counted]
    if not mine:
        raise LoadTestError(f"{variant}: no request came in a trial at {rate:.2f} /s")
    return Trial(rate=rate, requests=len(mine), met=sum(meets(record, slo) for record in mine))
