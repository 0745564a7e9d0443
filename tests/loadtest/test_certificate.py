"""The real client against the exact schedule of a null server.

covers: loadtest/null_server.py
"""

from pathlib import Path

import pytest

from loadtest.certificate import (
    Added,
    Certificate,
    Certified,
    certified,
    certify,
    read_certificate,
    write_certificate,
)
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError
from loadtest.null_server import Pace, pace_name, read_pace
from loadtest.prompts import plain_prompts
from loadtest.records import RequestRecord
from tests.loadtest.examples import a_record, failed

PACE = Pace(ttft_s=0.1, gap_s=0.02)
TOKENS = 11
CALM = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.001)


def late(ttft_s: float = 0.0, end_s: float = 0.0) -> RequestRecord:
    first = PACE.ttft_s + ttft_s
    last = PACE.ttft_s + 10 * PACE.gap_s + end_s
    return a_record(first_token_s=first, last_token_s=last, end_s=last, max_gap_s=0.021)


def of(*records: RequestRecord, client: ClientHealth = CALM) -> Certified:
    return certified(records, PACE, client, TOKENS)


def test_a_client_on_schedule_adds_nothing() -> None:
    found = of(late(), late())
    assert (found.ttft.p99_s, found.end.p99_s) == pytest.approx((0, 0), abs=1e-9)
    assert found.worst_gap.p50_s == pytest.approx(0.001)
    assert found.why_void == ""
    assert found.headroom == pytest.approx(10)


def test_what_is_late_by_the_same_every_time_is_seen() -> None:
    found = of(*[late(ttft_s=0.003, end_s=0.004) for _ in range(20)])
    assert (found.ttft.p50_s, found.end.p50_s) == pytest.approx((0.003, 0.004))
    assert found.why_void == (
        "the load generator adds 3.0 ms to TTFT (median) at 1 streams, 2.0 ms are allowed"
    )


def test_a_late_tail_voids_and_a_long_ttft_bears_more() -> None:
    records = [*[late() for _ in range(90)], *[late(ttft_s=0.008) for _ in range(10)]]
    assert "adds 8.0 ms to TTFT (p99)" in of(*records).why_void
    slow = Pace(ttft_s=1.0, gap_s=0.02)
    shifted = [
        a_record(first_token_s=1.0 + r.first_token_s - 0.1, last_token_s=1.2)
        for r in records
        if r.first_token_s is not None
    ]
    assert certified(shifted, slow, CALM, TOKENS).why_void == ""


def test_a_saturated_client_voids_whatever_it_adds() -> None:
    busy = ClientHealth(cpu_share_p95=0.95, loop_lag_p95_s=0.001)
    assert of(late(), client=busy).why_void == "the load generator is the limit at 1 streams"


def test_the_warm_up_does_not_count_and_a_failed_request_certifies_nothing() -> None:
    warm_up = a_record(counted=False, first_token_s=9.0)
    assert of(late(), warm_up).requests == 1
    with pytest.raises(LoadTestError, match="HTTP 429"):
        of(late(), failed())
    with pytest.raises(LoadTestError, match="none was sent"):
        of(warm_up)


def test_chunks_of_several_tokens_come_less_often() -> None:
    pairs = Pace(ttft_s=0.1, gap_s=0.04, tokens_per_event=2)
    assert (pairs.end_s(11), pairs.end_s(10)) == pytest.approx((0.3, 0.26))
    assert read_pace(pairs.word) == pairs


def test_one_reason_voids_the_run_and_the_file_keeps_it(tmp_path: Path) -> None:
    good, bad = of(late()), of(late(ttft_s=0.02))
    assert Certificate(before=(good,), after=(good,)).why_void == ""
    kept = Certificate(before=(bad,), after=(good,))
    assert kept.why_void.startswith("the load generator adds 20.0 ms")
    slow = good.model_copy(update={"pace": Pace(ttft_s=3.0, gap_s=0.02)})
    assert Certificate(before=(bad,), after=(slow,)).why_void == ""
    write_certificate(tmp_path / "gguf-q8_0", kept)
    assert read_certificate(tmp_path / "gguf-q8_0") == kept
    assert read_certificate(tmp_path) is None


def test_a_point_without_a_certificate_does_not_pass(tmp_path: Path) -> None:
    kept = Certificate(after=(of(late()),))
    assert kept.why_void_for([ClosedLoop(1)]) == ""
    assert "not certified at 2 streams" in kept.why_void_for([ClosedLoop(1), ClosedLoop(2)])
    assert certify({}, plain_prompts(), prompt_tokens=8, output_tokens=8) == ()


def test_the_real_client_meets_the_null_server_at_each_point_s_own_pace() -> None:
    paces: dict[LoadPoint, Pace] = {
        ClosedLoop(1): Pace(ttft_s=0.06, gap_s=0.01),
        ClosedLoop(4): Pace(ttft_s=0.03, gap_s=0.02, tokens_per_event=2),
    }
    one, four = certify(paces, plain_prompts(), prompt_tokens=16, output_tokens=8)
    assert (one.point, four.point) == (ClosedLoop(1), ClosedLoop(4))
    assert (one.pace, four.pace) == tuple(paces.values())
    for found in (one, four):
        # Nothing comes before it is due, and on no machine a second late at the median.
        assert isinstance(found.ttft, Added)
        assert 0 <= found.ttft.p50_s < 1
        assert found.end.p50_s < 1
    assert pace_name(0) == "pace-0"
