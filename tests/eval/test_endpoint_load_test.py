"""``assay loadtest --url`` from end to end, at an endpoint that is none of ours.

covers: eval/report/endpoint_page.py
"""

from pathlib import Path
from typing import Any

import pytest

from deploy.plan_sections import Slo
from eval.endpoint_load_test import (
    EndpointQuestion,
    budget_words,
    examine_endpoint,
    read_api,
    read_load,
)
from loadtest.any_endpoint.endpoint_load import run_folder
from loadtest.closed_loop import ClosedLoop
from loadtest.load_kinds import points_of
from loadtest.locust_process import LoadTestError
from loadtest.prompts import PromptError
from tests.loadtest.any_endpoint.foreign_endpoint import foreign_endpoint


def test_a_page_and_a_table_are_left_and_a_missed_objective_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    load = read_load("2", prompt_tokens=16, output_tokens=8, seconds=0.3, rounds=1)
    with foreign_endpoint(models=("<b>their</b>",)) as endpoint:
        question = EndpointQuestion(
            url=endpoint.url, model="", key="", load=load, slo=Slo(ttft_s=1e-6)
        )
        missed = examine_endpoint(question, lines.append, tmp_path)
    assert len(missed) == 1
    # Beside busy neighbours the client may have been too slow to tell.
    assert "at 2 streams: 0.0 % of requests met" in missed[0] or "void" in missed[0]
    (page,) = tmp_path.rglob("report.html")
    text = page.read_text()
    assert "&lt;b&gt;their&lt;/b&gt; under load" in text
    assert "<b>their" not in text
    assert "Objective missed" in text
    assert "the client adds" in text
    assert any("2 streams" in line and "tok/s" in line for line in lines)
    assert lines[-1] == f"report: {page}"


def test_the_load_is_read_from_the_words_of_a_user() -> None:
    load = read_load("4, 1", prompt_tokens=8, output_tokens=8, seconds=1, rounds=3)
    assert points_of(load) == (ClosedLoop(1), ClosedLoop(4))
    assert (load.rounds, load.duration_s) == (3, 1)
    assert (read_api(""), read_api("chat")) == (None, "chat")


@pytest.mark.parametrize("streams", ["", "0", "1,1", "a", "1.5", "-2"])
def test_streams_that_are_no_list_of_numbers_are_refused(streams: str) -> None:
    with pytest.raises(ValueError, match="--streams"):
        read_load(streams, prompt_tokens=8, output_tokens=8, seconds=1, rounds=1)


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("--streams", {"streams": "1,100000"}),
        ("--prompt-tokens", {"prompt_tokens": 10_000_000}),
        ("--output-tokens", {"output_tokens": 10_000_000}),
        ("--seconds", {"seconds": 86_400}),
        ("--seconds", {"seconds": float("nan")}),
        ("--rounds", {"rounds": 10_000}),
    ],
)
def test_more_than_can_be_meant_is_refused(option: str, changes: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"prompt_tokens": 8, "output_tokens": 8, "seconds": 1, "rounds": 1}
    with pytest.raises(ValueError, match=f"{option}: .* is too much"):
        read_load(**({"streams": "1"} | usual | changes))


def test_it_is_said_before_how_long_it_takes_and_what_it_tells() -> None:
    load = read_load("1,4", prompt_tokens=8, output_tokens=8, seconds=28, rounds=2)
    assert "at least 2.0 min" in budget_words(load)
    assert "2 rounds tell a difference between endpoints of" in budget_words(load)
    one = read_load("1", prompt_tokens=8, output_tokens=8, seconds=28, rounds=1)
    assert "1 round tells no difference between endpoints: give --rounds" in budget_words(one)


def test_a_tokenizer_that_is_not_there_is_told_with_its_option(tmp_path: Path) -> None:
    load = read_load("1", prompt_tokens=8, output_tokens=8, seconds=1, rounds=1)
    question = EndpointQuestion(
        url="http://127.0.0.1:1/v1", model="", key="", load=load, tokenizer=tmp_path
    )
    with pytest.raises(PromptError, match=r"--tokenizer: .* holds no tokenizer\.json"):
        examine_endpoint(question, print, tmp_path)


def test_a_run_that_fails_leaves_what_was_there_before(tmp_path: Path) -> None:
    load = read_load("2", prompt_tokens=16, output_tokens=8, seconds=0.3, rounds=1)
    with foreign_endpoint() as endpoint:
        old = run_folder(tmp_path, endpoint.url, "their-model", load)
        old.mkdir()
        (old / "report.html").write_text("old")
        question = EndpointQuestion(url=endpoint.url, model="", key="", load=load)

        def spoil(_: str) -> None:
            endpoint.habits.busy = True

        with pytest.raises(LoadTestError, match="HTTP 429"):
            examine_endpoint(question, spoil, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert [path.read_text() for path in old.iterdir()] == ["old"]


def test_another_api_is_refused() -> None:
    with pytest.raises(ValueError, match="neither chat nor completions"):
        read_api("responses")
