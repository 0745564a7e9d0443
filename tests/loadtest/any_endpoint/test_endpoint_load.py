"""The real Locust at an endpoint that is none of ours: records, figures and a certificate."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.plan_load import ClosedLoopLoad
from deploy.plan_sections import Slo
from loadtest.any_endpoint.endpoint_load import Asked, load_endpoint, run_folder
from loadtest.any_endpoint.probe import Probe
from loadtest.certificate import read_certificate
from loadtest.closed_loop import ClosedLoop
from loadtest.locust_process import LoadTestError
from loadtest.records import read_records
from loadtest.slo_check import missed_in
from loadtest.texts import Texts
from tests.loadtest.any_endpoint.foreign_endpoint import ForeignEndpoint, foreign_endpoint

TEXTS = Texts([f"text {number} of a river" for number in range(50)])


def asked(endpoint: ForeignEndpoint, folder: Path, key: str = "") -> Asked:
    load = ClosedLoopLoad(
        concurrencies=(2,),
        rounds=1,
        duration_s=0.3,
        warmup_s=0.05,
        prompt_tokens=8,
        output_tokens=8,
    )
    found = Probe(endpoint.url, key).find("")
    return Asked(url=endpoint.url, key=key, found=found, load=load, texts=TEXTS, folder=folder)


def test_a_chat_endpoint_with_a_key_and_without_usage_is_measured(tmp_path: Path) -> None:
    with foreign_endpoint(key="k", apis=("chat",), usage=False) as endpoint:
        load, certificate = load_endpoint(asked(endpoint, tmp_path, "k"), lambda _: None)
    records = read_records(tmp_path / "requests.parquet")
    assert {record.error for record in records} == {None}
    # ignore_eos is taken, and there is no usage to hold it to: what came is what counts.
    assert {record.output_tokens for record in records} == {8}
    assert [level.point for level in load.levels] == [ClosedLoop(2)]
    assert load.levels[0].requests >= 5
    contents = [body["messages"][0]["content"] for body in endpoint.asked[1:]]
    assert len(set(contents)) == len(contents)
    assert read_certificate(tmp_path) == certificate
    assert certificate.after[0].point == ClosedLoop(2)
    assert (tmp_path / "locust-round0.html").stat().st_size > 1000


def test_an_endpoint_that_answers_nothing_any_more_is_an_error(tmp_path: Path) -> None:
    with foreign_endpoint() as endpoint:
        question = asked(endpoint, tmp_path)
        endpoint.habits.busy = True
        with pytest.raises(LoadTestError, match="was answered: HTTP 429: slow down"):
            load_endpoint(question, lambda _: None)
    assert not (tmp_path / "load.json").exists()


def test_a_usage_of_three_times_the_chunks_makes_no_throughput(tmp_path: Path) -> None:
    with foreign_endpoint(counts=24) as endpoint:
        load, _ = load_endpoint(asked(endpoint, tmp_path), lambda _: None)
    assert not load.levels[0].errors
    assert {record.output_tokens for record in read_records(tmp_path / "requests.parquet")} == {8}


def test_a_request_that_hangs_fails_when_its_time_is_over(tmp_path: Path) -> None:
    with foreign_endpoint() as endpoint:
        question = replace(asked(endpoint, tmp_path), timeout_s=1)
        endpoint.habits.hangs_s = 60
        with pytest.raises(LoadTestError, match="no complete answer within"):
            load_endpoint(question, lambda _: None)


def test_where_half_of_the_requests_fail_all_is_kept_and_certified(tmp_path: Path) -> None:
    with foreign_endpoint() as endpoint:
        question = asked(endpoint, tmp_path)
        endpoint.habits.fails_every_other = True
        load, certificate = load_endpoint(question, lambda _: None)
    (level,) = load.levels
    assert 0 < level.requests <= 2 * level.errors + 2
    assert level.error_reasons == {"HTTP 500: oops": level.errors}
    # The pace is that of the answers, of which there is one every millisecond.
    (found,) = certificate.after
    assert found.pace.ttft_s < 1
    assert certificate.why_void_for([level.point]) == certificate.why_void
    (told,) = missed_in(tmp_path, Slo(ttft_s=10))
    assert "% of requests met" in told or "void" in told


@pytest.mark.parametrize("count", [-5, 10**30])
def test_a_usage_that_cannot_be_costs_no_run(count: int, tmp_path: Path) -> None:
    with foreign_endpoint() as endpoint:
        question = asked(endpoint, tmp_path)
        endpoint.habits.counts = count
        with pytest.raises(LoadTestError, match="no usage, though it had one before"):
            load_endpoint(question, lambda _: None)
        load, _ = load_endpoint(asked(endpoint, tmp_path), lambda _: None)
    assert not load.levels[0].errors
    assert {record.output_tokens for record in read_records(tmp_path / "requests.parquet")} == {8}


def test_the_folder_is_named_by_endpoint_and_load(tmp_path: Path) -> None:
    one, two = (ClosedLoopLoad(concurrencies=(count,)) for count in (1, 2))
    folders = {run_folder(tmp_path, "http://a/v1", "m", load) for load in (one, two, one)}
    assert len(folders) == 2
