"""What the bench makes of what tools say; the tools themselves run in the bench alone.

covers: tests/benches/agreement/__main__.py
"""

from pathlib import Path

import pytest

from loadtest.closed_loop import ClosedLoop
from loadtest.other_tools.foreign_run import ForeignCell
from tests.benches.agreement.__main__ import edge_rate, off_figures, theirs, truth
from tests.benches.agreement.peers import PEERS, Ask, PeerRun, event_cost_us
from tests.loadtest.examples import failed, in_a_row

ASK = Ask(
    root="http://127.0.0.1:1",
    model="m",
    tokenizer=Path("/tokenizer"),
    prompt_tokens=128,
    output_tokens=32,
    streams=8,
    requests=64,
)


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_given_the_same_load(name: str) -> None:
    words = " ".join(PEERS[name].argv(ASK, Path("/results")))
    for said in ("http://127.0.0.1:1", "/tokenizer", "/results", "128", "32", "64"):
        assert said in words
    assert "=8" in words or " 8" in words


def test_the_truth_is_the_schedule() -> None:
    assert truth(8) == pytest.approx({"TTFT p50": 50, "TPOT p50": 20, "tok/s": 8 * 32 / 0.67})


def test_throughput_by_edges_counts_from_the_first_send_to_the_last_end() -> None:
    assert edge_rate([*in_a_row(4), failed()]) == pytest.approx(44 / 4)


def test_what_differs_is_in_percent_and_bounded_where_all_count_the_same() -> None:
    cell = ForeignCell(
        point=ClosedLoop(8),
        load="8 streams",
        requests=64,
        errors=0,
        latencies={"ttft_s": {"p50": 0.055}, "tpot_s": {"p50": 0.0201}},
        output_tok_per_s=300.0,
        request_per_s=None,
    )
    its = theirs(PeerRun(cell=cell, cpu_s=1.0), "guidellm")
    figures = {it.name: it for it in off_figures("c8", {"guidellm": its}, truth(8), "truth")}
    assert figures["ttft_c8_guidellm_off_truth"].value == pytest.approx(10)
    assert figures["ttft_c8_guidellm_off_truth"].met is False
    assert figures["tpot_c8_guidellm_off_truth"].met is True
    assert figures["tok_per_s_c8_guidellm_off_truth"].limit is None


def test_the_cost_of_an_event_leaves_out_what_a_start_costs() -> None:
    assert event_cost_us((11.0, 1000), (13.0, 11_000)) == pytest.approx(200)
