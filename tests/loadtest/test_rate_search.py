"""The real Locust tries rates at a fake engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.plan import Plan
from deploy.plan_sections import Slo
from loadtest.intervals import Estimate
from loadtest.job import Job
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.rate_search import Trials, rate_words, read_slo, search, trial_of, trial_times
from loadtest.run_directory import run_directory
from tests.fake_engine import FakeEngine, running_engine
from tests.loadtest.examples import VARIANTS, a_plan, some_prompts


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few requests, whatever else runs on this machine."""
    monkeypatch.setattr("loadtest.rate_search.REQUESTS", 10)
    monkeypatch.setattr("loadtest.rate_search.WARMUP_REQUESTS", 2)
    monkeypatch.setattr("loadtest.rate_search.FIRST_RATE", 40.0)
    monkeypatch.setattr("loadtest.rate_search.watch_service", lambda _: None)


def a_search(engine: FakeEngine, slo: Slo) -> Plan:
    plan = a_plan(engine.port)
    objectives = plan.objectives.model_copy(update={"slo": slo})
    return plan.model_copy(update={"variants": VARIANTS[:1], "objectives": objectives})


def test_an_slo_that_no_rate_meets_is_told_and_the_trials_are_kept(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fake engine's first token takes 10 ms.
    plan = a_search(engine, Slo(ttft_s=0.001))
    lines: list[str] = []

    def found(trials: int) -> Any:
        return search(plan, some_prompts(), say=lines.append, most_trials=trials, results=tmp_path)[
            VARIANTS[0]
        ]

    first = found(1)
    assert (first.trials[0].rate, first.trials[0].met) == (40, 0)
    assert first.rate_per_s is None
    assert "no rate that was tried meets the SLO: at 40.00 requests a second 0 of" in lines[-1]
    second = found(2)
    assert second.trials[0] == first.trials[0]
    assert second.trials[1].rate == 20
    assert read_slo(run_directory(plan, tmp_path) / VARIANTS[0]) == second
    # At 10 a second less than a block of requests comes in so short a time.
    monkeypatch.setattr("loadtest.rate_search.LONGEST_S", 0.5)
    assert found(60) == second


def test_a_trial_in_which_the_engine_was_restarted_is_repeated(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.variants[VARIANTS[0]].restarts = True
    attempts: list[int] = []

    def counting(job: Job, **how: Any) -> None:
        attempts.append(job.attempt)
        run_locust(job, **how)

    monkeypatch.setattr("loadtest.rate_search.run_locust", counting)
    plan = a_search(engine, Slo(ttft_s=5.0))
    found = search(plan, some_prompts(), say=print, most_trials=1, results=tmp_path)
    assert len(found[VARIANTS[0]].trials) == 1
    assert attempts == [0, 1]


def test_a_variant_that_is_replaced_is_told_and_the_next_one_is_searched(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replacing(job: Job, **how: Any) -> None:
        run_locust(job, **how)
        engine.variants[VARIANTS[0]].artifact_sha256 = "b" * 64

    monkeypatch.setattr("loadtest.rate_search.run_locust", replacing)
    plan = a_search(engine, Slo(ttft_s=5.0)).model_copy(update={"variants": VARIANTS})
    lines: list[str] = []
    found = search(plan, some_prompts(), say=lines.append, most_trials=1, results=tmp_path)
    assert found.keys() == {VARIANTS[1]}
    assert lines[0].startswith(f"FAILED  {VARIANTS[0]}: was deployed anew")


def test_a_trial_without_requests_is_no_trial() -> None:
    with pytest.raises(LoadTestError, match=r"x: no request came in a trial at 0\.01 /s"):
        trial_of("x", 0.01, [], Slo(ttft_s=1.0))


def test_a_trial_has_as_many_processes_as_its_rate_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.rate_search.usable_cpus", lambda: 32)

    def job(rate: float, **load: Any) -> Job:
        plan = a_plan(1, output_tokens=64, **load)
        place = Path("/nowhere")
        return Trials(plan=plan, prompts_file=place, run=place, series=0).job("x", rate, 0)

    assert [job(rate).processes for rate in (1.0, 100.0, 500.0)] == [1, 3, 13]
    assert job(1.0, processes=2).processes == 2


def test_a_trial_lasts_for_its_requests_and_a_slow_one_for_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.rate_search.REQUESTS", 600)
    monkeypatch.setattr("loadtest.rate_search.WARMUP_REQUESTS", 50)
    assert trial_times(60.0, 0.5) == pytest.approx({"warmup_s": 50 / 60, "duration_s": 10.0})
    assert trial_times(0.5, 2.0) == {"warmup_s": 15.0, "duration_s": 60.0}
    assert trial_times(1000.0, 2.0)["warmup_s"] == 2.0


def test_a_plan_without_an_slo_is_refused(engine: FakeEngine, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"objectives\.slo: a search needs a limit"):
        search(a_search(engine, Slo()), some_prompts(), say=print, results=tmp_path)


def test_the_rate_is_told_with_its_interval() -> None:
    found = Estimate(value=3.2, low=3.1, high=3.34)
    assert rate_words(found) == "meets the SLO up to 3.20 (3.10 to 3.34) requests a second"
    assert rate_words(Estimate(value=3.2)) == "meets the SLO up to 3.20 requests a second"
