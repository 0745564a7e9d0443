"""What the bench makes of what tools say; the tools themselves run in the bench alone.

covers: tests/benches/agreement/__main__.py, tests/benches/agreement/costs.py,
tests/benches/agreement/ours.py, tests/benches/agreement/served.py
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from deploy.plan import load_plan
from loadtest.closed_loop import ClosedLoop
from loadtest.other_tools.foreign_run import ForeignCell
from loadtest.server_window import GENERATED, PROMPT, REUSED
from quantize.root import ROOT
from tests.benches.agreement.__main__ import (
    PLAN,
    figures_at_engine,
    figures_at_truth,
    halves,
    lateness,
    on_processors,
    plan_of,
    theirs,
    truth,
)
from tests.benches.agreement.costs import event_cost_us
from tests.benches.agreement.ours import BY_EDGES, _added_by_server, edge_rate
from tests.benches.agreement.peers import PEERS, Ask, PeerRun, run_peer
from tests.benches.agreement.served import served_between
from tests.loadtest.examples import failed, in_a_row

ASK = Ask(
    root="http://127.0.0.1:1",
    model="m",
    tokenizer=Path("/tokenizer"),
    prompt_tokens=128,
    output_tokens=32,
    streams=8,
    requests=64,
    seed=803,
)
US = {"TTFT p50": 100.0, "TPOT p50": 10.0, BY_EDGES: 50.0}


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_given_the_same_load_and_prompts_of_its_own_each_time(name: str) -> None:
    words = " ".join(PEERS[name].argv(ASK, Path("/results")))
    for said in ("http://127.0.0.1:1", "/tokenizer", "/results", "128", "32", "64", "803"):
        assert said in words
    assert "=8" in words or " 8 " in words
    assert words != " ".join(PEERS[name].argv(replace(ASK, seed=804), Path("/results")))


def test_a_tool_that_fails_is_told_by_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "print('first'); print('no such model'); raise SystemExit(3)"
    peer = replace(PEERS["aiperf"], argv=lambda *_: ["python3", "-c", script])
    with pytest.raises(RuntimeError, match=r"^no such model$"):
        run_peer(peer, ASK)
    monkeypatch.setattr("tests.benches.agreement.peers.TIMEOUT_S", 0.2)
    with pytest.raises(RuntimeError, match="did not end within"):
        run_peer(replace(peer, argv=lambda *_: ["sleep", "9"]), ASK)


def test_the_truth_is_the_schedule() -> None:
    expected = {"TTFT p50": 50, "TPOT p50": 20, BY_EDGES: 8 * 32 / 0.67}
    assert truth(8) == pytest.approx(expected)


def test_throughput_by_edges_counts_from_the_first_send_to_the_last_end() -> None:
    assert edge_rate([*in_a_row(4), failed()]) == pytest.approx(44 / 4)


def test_at_the_truth_ours_is_bounded_and_the_others_are_told() -> None:
    cell = ForeignCell(
        point=ClosedLoop(8),
        load="8 streams",
        requests=64,
        errors=0,
        latencies={"ttft_s": {"p50": 0.055}, "tpot_s": {"p50": 0.0201}},
        output_tok_per_s=300.0,
        request_per_s=None,
    )
    told = {
        "guidellm": theirs(PeerRun(cell=cell, cpu_s=1.0), "guidellm"),
        "ours": {"TTFT p50": 50.5, "TPOT p50": 21.0, BY_EDGES: 380.0},
    }
    figures = {it.name: it for it in figures_at_truth("c8", told, truth(8))}
    assert figures["ttft_c8_guidellm_off_truth"].value == pytest.approx(10)
    assert figures["ttft_c8_guidellm_off_truth"].limit is None
    assert figures["ttft_c8_ours_off_truth"].met is True
    assert figures["tpot_c8_ours_off_truth"].met is False
    assert lateness(told, truth(8))["guidellm"] == pytest.approx({"TTFT p50": 5, "TPOT p50": 0.1})


def test_at_an_engine_each_is_held_to_ours_and_its_own_lateness_is_taken_off() -> None:
    told = {"ours": US, "aiperf": {"TTFT p50": 104.0, "TPOT p50": 10.1, BY_EDGES: 49.0}}
    late = {
        "ours": {"TTFT p50": 0.5, "TPOT p50": 0.0},
        "aiperf": {"TTFT p50": 4.5, "TPOT p50": 0.1},
    }
    figures = {it.name: it for it in figures_at_engine("c8", told, late)}
    assert figures["ttft_c8_aiperf_off_ours"].value == pytest.approx(4)
    assert figures["ttft_c8_aiperf_off_ours"].met is False
    assert figures["ttft_c8_aiperf_off_ours_but_for_lateness"].value == pytest.approx(0)
    assert figures["tok_per_s_c8_aiperf_off_ours"].met is True
    assert not any("ours_off" in name for name in figures)
    assert "ttft_c8_aiperf_off_ours_but_for_lateness" not in {
        it.name for it in figures_at_engine("c8", told, {})
    }


def test_what_the_engine_counts_shows_prompts_that_were_not_as_asked() -> None:
    before = {PROMPT: 100.0, REUSED: 10.0, GENERATED: 0.0}
    after = {PROMPT: 100.0 + 64 * 129, REUSED: 10.0 + 64 * 9, GENERATED: 64.0 * 32}
    found = served_between(before, after, ASK)
    assert (found.requests, found.prompt_tokens, found.reused_tokens) == (64, 129, 9)
    assert found.words == "64 requests of 129.0 prompt tokens, 9.0 of them cached"
    with pytest.raises(ValueError, match="generated nothing"):
        served_between(before, before, ASK)


def test_the_cost_of_an_event_leaves_out_what_a_start_costs() -> None:
    assert event_cost_us(11.0, 13.0, 10_000) == pytest.approx(200)


def test_servers_and_load_generators_share_no_processor_where_there_are_two() -> None:
    assert halves({0, 1}) == ({0}, {1})
    assert halves({7, 2, 5}) == ({2}, {5, 7})
    assert halves({3}) == ({3}, {3})


def test_what_is_started_on_processors_stays_there_and_we_do_not() -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    asks = "import os, sys; sys.stdin.read(); print(os.sched_getaffinity(0))"
    with on_processors(one):
        child = subprocess.Popen(
            [sys.executable, "-c", asks], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    assert os.sched_getaffinity(0) == before
    assert child.communicate("")[0].strip() == str(one)


def test_another_model_is_asked_by_a_plan_of_its_own_beside_the_service_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benches.agreement.__main__.RUN_DIR", tmp_path / "run")
    assert plan_of(None) == str(PLAN)
    path = plan_of(tmp_path)
    assert [it.name for it in (tmp_path / "run").iterdir()] == [Path(path).name] != ["plan.yaml"]
    assert load_plan(path).model == str(tmp_path)
    assert load_plan(path).variants == load_plan(str(PLAN)).variants


def test_what_the_server_adds_to_a_text_is_what_its_tokenizer_adds(tmp_path: Path) -> None:
    reference = ROOT / "quantize" / "reference_model" / "weights"
    known = Tokenizer.from_file(str(reference / "tokenizer.json"))
    known.add_special_tokens(["<begin>"])
    for template, added in (("$A", 0), ("<begin> $A", 1)):
        places = [("<begin>", known.token_to_id("<begin>"))] if added else []
        known.post_processor = TemplateProcessing(single=template, special_tokens=places)
        known.save(str(tmp_path / "tokenizer.json"))
        assert _added_by_server(tmp_path) == added
