import math
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from deploy.plan_sections import Slo
from loadtest.closed_loop import ClosedLoop
from loadtest.contamination import Contaminated
from loadtest.intervals import Estimate
from loadtest.summary import (
    Stalls,
    gap_percentiles,
    goodput,
    goodput_rate,
    meets,
    output_throughput,
    percentiles,
    request_rate,
    samples_required,
    stalls,
)
from tests.loadtest.examples import a_record, failed, in_a_row


def test_latencies_follow_their_definitions() -> None:
    record = a_record(scheduled_s=-0.25, end_s=1.1)
    assert (record.ttft_s, record.e2e_s) == (0.5, 1.0)
    assert record.tpot_s == pytest.approx(0.05)
    assert record.cycle_s == pytest.approx(1.35)


def test_percentiles_need_as_many_samples_as_mlperf_certifies() -> None:
    required = [samples_required(share) for share in (0.5, 0.9, 0.95, 0.99)]
    assert required == [5, 64, 130, 662]


@pytest.mark.parametrize(
    ("count", "keys"),
    [
        (4, []),
        (5, ["p50"]),
        (64, ["p50", "p90"]),
        (130, ["p50", "p90", "p95"]),
        (662, ["p50", "p90", "p95", "p99"]),
    ],
)
def test_a_percentile_that_the_sample_cannot_certify_is_absent(count: int, keys: list[str]) -> None:
    assert list(percentiles(in_a_row(count), "ttft_s")) == keys


def test_a_percentile_is_the_nearest_rank() -> None:
    records = [a_record(send_s=-float(n), last_token_s=0.0) for n in range(1, 101)]
    found = percentiles(records, "e2e_s")
    assert (found["p50"].value, found["p90"].value) == (50.0, 90.0)


def test_intervals_hold_the_value_and_are_the_same_for_the_same_seed() -> None:
    rng = np.random.default_rng(3)
    records = [
        a_record(round=n % 2, send_s=-float(it), last_token_s=0.0)
        for n, it in enumerate(rng.exponential(size=200))
    ]
    found = percentiles(records, "e2e_s", seed=1)
    for it in found.values():
        assert it.low is not None
        assert it.high is not None
        assert it.low <= it.value <= it.high
    assert found == percentiles(records, "e2e_s", seed=1)


def test_throughput_is_tokens_of_all_users_per_second_of_their_cycles() -> None:
    two_users = [*in_a_row(6, point=ClosedLoop(2)), *in_a_row(6, point=ClosedLoop(2))]
    assert output_throughput(two_users).value == pytest.approx(22.0)
    assert request_rate(two_users).value == pytest.approx(2.0)


def test_equal_cycles_give_an_interval_without_width() -> None:
    found = output_throughput(in_a_row(8))
    assert found.low == pytest.approx(found.value)
    assert found.high == pytest.approx(found.value)


def test_too_few_blocks_give_no_interval() -> None:
    found = output_throughput(in_a_row(2))
    assert (found.low, found.high) == (None, None)


def test_requests_of_the_warm_up_do_not_change_a_figure() -> None:
    measured = in_a_row(6)
    warm_up = in_a_row(6, length_s=9.0, counted=False)
    assert output_throughput([*warm_up, *measured]) == output_throughput(measured)


def test_a_failed_request_gives_no_tokens_but_its_time_counts() -> None:
    records = [*in_a_row(3), failed(output_tokens=9, scheduled_s=3, send_s=3, end_s=4)]
    assert output_throughput(records).value == pytest.approx(33 / 4)
    assert request_rate(records).value == pytest.approx(3 / 4)


def test_goodput_counts_errors_in_the_denominator() -> None:
    slow = a_record(scheduled_s=3, send_s=3, first_token_s=3.9, last_token_s=4, end_s=4)
    lost = failed(scheduled_s=4, send_s=4, end_s=5)
    found = goodput([*in_a_row(3), slow, lost], Slo(ttft_s=0.6))
    assert found.share.value == pytest.approx(3 / 5)
    assert found.per_s.value == pytest.approx(3 / 5)


def test_goodput_is_of_those_who_are_disturbed_and_not_of_the_intruders() -> None:
    point = Contaminated(2)
    short = in_a_row(6, point=point)
    slo = Slo(e2e_s=1.0)
    for took_s in (0.5, 6.0):
        long = [
            a_record(point=point, scheduled_s=s, send_s=s, last_token_s=s + 1, end_s=s + took_s,
                     intruder=True)
            for s in (0.0, 1.0)
        ]  # fmt: skip
        found = goodput([*short, *long], slo)
        # Six of two users' time, whether what disturbs them is within the objective or not.
        assert found.share.value == 1
        assert found.per_s.value == pytest.approx(6 / ((6 + 2 * took_s) / 2))
        assert goodput_rate([*short, *long], slo) == pytest.approx(found.per_s.value)
    assert goodput(long, slo).share.value == 0


def test_an_objective_that_is_not_asked_for_is_met_and_a_missing_time_is_not() -> None:
    assert meets(a_record(), Slo())
    assert meets(a_record(), Slo(ttft_s=0.5, tpot_s=0.06, e2e_s=1.0))
    assert not meets(a_record(), Slo(e2e_s=0.9))
    assert not meets(a_record(first_token_s=None), Slo(ttft_s=1))
    assert not meets(failed(), Slo())


def test_records_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="several variants or load points"):
        output_throughput([a_record(), a_record(point=ClosedLoop(2))])
    with pytest.raises(ValueError, match="no counted request"):
        output_throughput([a_record(counted=False)])


def test_a_share_without_a_miss_is_not_taken_for_certain() -> None:
    few, many = (goodput(in_a_row(count), Slo(ttft_s=0.6)).share for count in (20, 200))
    assert (few.value, few.high) == (many.value, many.high) == (1, 1)
    # Wilson's lower bound n / (n + z^2) of a sample that met the objective in every request.
    assert few.low == pytest.approx(20 / (20 + 1.96**2), abs=1e-4)
    assert many.low == pytest.approx(200 / (200 + 1.96**2), abs=1e-4)


def test_requests_that_fail_together_make_the_share_less_sure() -> None:
    users = 8
    apart, together = [], []
    for number in range(160):
        block, place = divmod(number, users)
        shape: dict[str, Any] = {
            "round": block % 2,
            "point": ClosedLoop(users),
            "scheduled_s": block,
            "send_s": block,
        }
        good = a_record(**shape, first_token_s=block + 0.5, last_token_s=block + 1, end_s=block + 1)
        bad = failed(**shape, end_s=block + 1)
        apart.append(bad if place == block % users else good)
        together.append(bad if block in {3, 10} or (block == 17 and place < 4) else good)
    spread = [goodput(rows, Slo()).share for rows in (apart, together)]
    assert spread[0].value == spread[1].value == 0.875
    assert spread[0].low is not None
    assert spread[1].low is not None
    assert spread[1].low < spread[0].low - 0.05


def test_a_failed_request_took_for_ever_in_the_percentiles_of_all() -> None:
    records = [a_record(send_s=-float(n), last_token_s=0.0) for n in range(1, 101)]
    ninety = [*records[:90], *[failed() for _ in range(10)]]
    assert percentiles(ninety, "e2e_s")["p90"].value == 90.0
    more = percentiles([*records[:80], *[failed() for _ in range(20)]], "e2e_s")
    assert (more["p50"].value, more["p90"].value) == (50.0, math.inf)
    assert more["p90"].high == math.inf
    row = {"a": more["p90"]}
    kept = TypeAdapter(dict[str, Estimate])
    assert kept.validate_json(kept.dump_json(row)) == row


def test_an_intruder_is_no_part_of_the_latencies_that_it_disturbs() -> None:
    long = [a_record(last_token_s=90.0, end_s=90.0, intruder=True) for _ in range(20)]
    assert percentiles([*in_a_row(6), *long], "e2e_s")["p50"].value == pytest.approx(1.0)


def test_gaps_are_told_of_all_chunks_and_their_tail_needs_6636_of_them() -> None:
    assert samples_required(0.999) == 6636
    few = [a_record(send_s=float(n), gaps_s=(0.01,) * 99 + (0.3,)) for n in range(66)]
    assert list(gap_percentiles(few)) == ["p50", "p99"]
    found = gap_percentiles([*few, a_record(gaps_s=(0.01,) * 99 + (0.3,))])
    assert (found["p50"].value, found["p99"].value) == (0.01, 0.01)
    assert found["p99.9"].value == 0.3


def test_a_stall_is_a_gap_far_beyond_the_usual_one() -> None:
    records = [
        a_record(gaps_s=(0.02, 0.02, 2.0)),
        a_record(gaps_s=(0.02, 0.1)),
        failed(gaps_s=(9.0,)),
    ]
    assert stalls(records) == Stalls(limit_s=0.5, requests=1, longest_s=2.0)
    slow = stalls([a_record(gaps_s=(0.3, 0.3, 2.0))])
    assert slow == Stalls(limit_s=3.0, requests=0, longest_s=2.0)
    assert stalls([a_record()]) is None
