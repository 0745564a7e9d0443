"""Every kind of load through the real Locust, against a fake engine that keeps what it was asked.

covers: loadtest/merging.py, loadtest/locustfile.py, loadtest/legs.py
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from deploy.plan import Plan
from deploy.plan_load import RampLoad
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_file import LevelSummary, LoadFile
from loadtest.load_kinds import LOAD_KINDS
from loadtest.measure import load_test
from loadtest.merging import summarize_level
from loadtest.prompts import PromptSource
from loadtest.ramp import Ramp
from loadtest.records import RequestRecord, read_records
from loadtest.run_directory import run_directory
from tests.fake_engine import Behaviour, FakeEngine, running_engine
from tests.loadtest.examples import VARIANTS, a_plan, failed, some_prompts

BASELINE, OTHER = VARIANTS
# What the fake engine says, and the id of it: no prompt holds it.
WORD, WORD_ID = "a", 2000
TIMES = {"rounds": 1, "duration_s": 0.4, "warmup_s": 0.1}
SHORT = {"prompt_tokens": 24, "output_tokens": 4}


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running_engine() as running:
        yield running


def prompts(plan: Plan, folder: Path) -> PromptSource:
    """Prompts with all that the plan's kinds of load need besides text."""
    words = {str(number): number for number in range(WORD_ID)} | {WORD: WORD_ID}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    beside: dict[str, Any] = {}
    for load in plan.loads:
        beside |= LOAD_KINDS[load.kind].beside(load, folder, plan.serving.context_length)
    return replace(some_prompts(), beside=beside)


def run(plan: Plan, folder: Path) -> dict[str, tuple[LoadFile, list[RequestRecord]]]:
    """Load all variants; what each left behind."""
    assert load_test(plan, prompts(plan, folder), say=print, results=folder) == {}
    found = {}
    for name in VARIANTS:
        place = run_directory(plan, folder) / name
        stored = LoadFile.model_validate_json((place / "load.json").read_bytes())
        found[name] = stored, read_records(place / "requests.parquet")
    return found


def with_stress(port: int, *stress: dict[str, Any]) -> Plan:
    content = a_plan(port, concurrencies=[2], duration_s=0.2).model_dump(mode="json")
    return Plan.model_validate({**content, "stress": [TIMES | it for it in stress]})


def test_further_loads_are_measured_and_stand_apart(engine: FakeEngine, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    lengths = {"input_length": 40, "output_length": 3}
    rows: list[dict[str, Any]] = [
        {"timestamp": 50 * n, "hash_ids": [n % 2, 10 + n]} | lengths for n in range(9)
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = with_stress(
        engine.port,
        SHORT | {"kind": "ramp", "to_rates_per_s": [40]},
        SHORT
        | {
            "kind": "contamination",
            "concurrencies": [4],
            "long_share": 0.25,
            "long_prompt_tokens": 200,
            "long_output_tokens": 40,
        },
        {"kind": "trace", "trace": str(trace), "block_tokens": 16},
    )
    for stored, records in run(plan, tmp_path).values():
        assert [level.point.key for level in stored.levels] == ["closed_loop:2"]
        assert [level.point.kind for level in stored.stress] == ["ramp", "contamination", "trace"]
        assert {record.error for record in records} == {None}
        ramp, contaminated, replayed = stored.stress
        assert len(ramp.parts) > 1
        assert [part.name for part in contaminated.parts] == ["the others", "long requests"]
        others, long = contaminated.parts
        assert (others.prompt_tokens, long.prompt_tokens) == (24, 200)
        assert contaminated.e2e_s["p50"].value < (long.e2e_p50_s or 1.0)
        assert replayed.requests >= 7
        assert replayed.service_e2e_s["p50"].value <= replayed.e2e_s["p50"].value
        of_trace = [r for r in records if r.point.kind == "trace"]
        assert {(r.prompt_tokens, r.output_tokens) for r in of_trace} == {(40, 3)}
    asked = [body["prompt"] for body in engine.asked[BASELINE] if len(body["prompt"]) == 40]
    assert asked[0][1:17] == asked[2][1:17] != asked[1][1:17]
    same = engine.asked[OTHER][0]["prompt"]
    assert engine.asked[BASELINE][0]["prompt"] == same


def test_a_turn_of_a_session_holds_the_answer_that_was_given(
    engine: FakeEngine, tmp_path: Path
) -> None:
    chat = SHORT | {"kind": "chat", "sessions": [2], "turns": 3, "think_s": 0.02}
    plan = with_stress(engine.port, chat)
    stored, records = run(plan, tmp_path)[BASELINE]
    mine = sorted((r for r in records if r.session == 0), key=lambda r: r.send_s)
    assert [(r.turn, r.prompt_tokens, r.error) for r in mine] == [
        (0, 24, None),
        (1, 52, None),
        (2, 80, None),
    ]
    (level,) = stored.stress
    assert [part.name for part in level.parts] == ["turn 1", "turn 2", "turn 3"]
    asked = {body["prompt"][1]: body["prompt"] for body in engine.asked[BASELINE]}
    longest = max(asked.values(), key=len)
    assert longest[24:28] == longest[52:56] == [WORD_ID] * 4


def test_a_sweep_ends_where_more_streams_bring_no_more_and_its_rounds_have_the_same_steps(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = a_plan(engine.port).model_dump(mode="json")
    content["load"] = TIMES | SHORT | {"kind": "sweep", "most_streams": 16, "rounds": 2}
    plan = Plan.model_validate(content)
    # The fake engine never saturates, so all steps are made; then two are said to be enough.
    for stored, _ in run(plan, tmp_path).values():
        assert [level.point.amount for level in stored.levels] == [1, 2, 4, 8, 16]
    monkeypatch.setattr("loadtest.sweep.GAIN", 100.0)
    (tmp_path / "again").mkdir()
    for stored, records in run(plan, tmp_path / "again").values():
        assert [level.point.amount for level in stored.levels] == [1, 2, 4]
        assert {(r.round, r.point.amount) for r in records} == {
            (number, streams) for number in range(2) for streams in (1, 2, 4)
        }


def test_what_is_still_asked_at_the_end_of_a_leg_is_left_and_told_of_nowhere(
    engine: FakeEngine, tmp_path: Path
) -> None:
    long = a_plan(engine.port, concurrencies=[3], output_tokens=100, warmup_s=0.6)
    found = run(long, tmp_path)
    for name in VARIANTS:
        records = found[name][1]
        assert {record.error for record in records} == {None}
        assert len(engine.asked[name]) == len(records) + 3
        assert sum(record.counted for record in records) >= 3
    assert engine.left == 3 * len(VARIANTS)
    (html,) = run_directory(long, tmp_path).glob("locust-round*.html")
    assert "LeftAloneError" not in html.read_text()


def test_answers_of_natural_length_are_not_forced(engine: FakeEngine, tmp_path: Path) -> None:
    plan = a_plan(engine.port, concurrencies=[2], natural_length=True)
    stored, records = run(plan, tmp_path)[BASELINE]
    assert not any("ignore_eos" in body for body in engine.asked[BASELINE])
    answers = stored.levels[0].answers
    assert answers is not None
    assert (answers.tokens.value, answers.ended_share) == (4, 0)
    assert len({record.prompt_hash for record in records}) == len(records)


def test_a_load_at_which_all_fails_has_figures_and_they_are_infinite() -> None:
    end = LevelEnd(
        point=Ramp(9), counted_s=1.0, client=ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.0)
    )
    lost = [failed(point=Ramp(9), scheduled_s=float(n), send_s=float(n)) for n in range(8)]
    found = summarize_level(lost, [end], load=RampLoad(kind="ramp", to_rates_per_s=(9,)))
    assert (found.requests, found.errors, found.output_tok_per_s.value) == (8, 8, 0)
    assert (found.ttft_s["p50"].value, found.stalls) == (math.inf, None)
    assert LevelSummary.model_validate_json(found.model_dump_json()) == found


def test_a_server_that_stalls_is_seen_by_all_who_came_meanwhile_and_in_a_closed_loop_by_one(
    tmp_path: Path,
) -> None:
    times: dict[str, Any] = {"rounds": 1, "duration_s": 3.0, "warmup_s": 0.1} | SHORT
    loads: list[dict[str, Any]] = [
        {"kind": "constant_rate", "rates_per_s": [20]},
        {"concurrencies": [1]},
    ]
    late = []
    for place, load in enumerate(loads):
        with running_engine({BASELINE: Behaviour(stall=(1.0, 1.0))}) as engine:
            content = a_plan(engine.port).model_dump(mode="json") | {"load": times | load}
            plan = Plan.model_validate(content | {"variants": [BASELINE]})
            folder = tmp_path / str(place)
            folder.mkdir()
            assert load_test(plan, some_prompts(), say=print, results=folder) == {}
            rows = read_records(run_directory(plan, folder) / BASELINE / "requests.parquet")
        waits = [row.e2e_s for row in rows if row.counted and row.e2e_s is not None]
        late.append(sum(wait > 0.2 for wait in waits) / len(waits))
    assert late[0] > 0.2
    assert late[1] < 0.05


def test_a_request_that_timed_out_while_its_events_were_read_is_an_error(tmp_path: Path) -> None:
    with running_engine({BASELINE: Behaviour(faults=("hangs",))}) as engine:
        content = a_plan(engine.port, concurrencies=[2], duration_s=1.0).model_dump(mode="json")
        content["serving"]["request_timeout_s"] = 0.3
        plan = Plan.model_validate(content | {"variants": [BASELINE]})
        assert load_test(plan, some_prompts(), say=print, results=tmp_path) == {}
        rows = read_records(run_directory(plan, tmp_path) / BASELINE / "requests.parquet")
    assert {row.output_tokens for row in rows if row.error is None} == {4}
    late = {row.error for row in rows if row.error is not None}
    assert late == {"no complete answer within serving.request_timeout_s"}
