import math

import numpy as np
import pytest

from deploy.plan_sections import Slo
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from loadtest.pairing import (
    RoundFigures,
    in_turns,
    is_steady,
    noise,
    ratio,
    round_figures,
    settling,
    student_interval,
)
from loadtest.records import RequestRecord
from tests.loadtest.examples import a_record, failed, in_a_row


def rounds(*rates: float, at: str = "noon") -> list[RoundFigures]:
    return [
        RoundFigures(
            round=number,
            started_at=at and f"{at} {number}",
            output_tok_per_s=rate,
            goodput_per_s=rate / 10,
            e2e_p50_s=10 / rate if rate else None,
        )
        for number, rate in enumerate(rates)
    ]


def found_ratio(one: list[RoundFigures], other: list[RoundFigures]) -> Estimate:
    found = ratio(one, other)
    assert found is not None
    return found


def test_what_slows_a_round_down_for_both_cancels_in_their_ratio() -> None:
    fast, slow = rounds(200, 66, 180, 20), rounds(100, 33, 90, 10)
    found = found_ratio(fast, slow)
    assert found.value == pytest.approx(2)
    assert found.bounds == pytest.approx((2, 2))


def test_rounds_of_different_hours_are_not_taken_for_pairs() -> None:
    fast, slow = rounds(200, 66, 180, 20), rounds(100, 33, 90, 10, at="midnight")
    assert not in_turns(fast, slow)
    found = found_ratio(fast, slow)
    assert found.value == pytest.approx(2)
    assert found.low is not None
    assert found.low < 0.5


def test_rounds_that_tell_no_time_are_not_taken_for_pairs() -> None:
    assert not in_turns(rounds(1, 2, at=""), rounds(1, 2, at=""))


def test_the_interval_is_student_s_over_rounds() -> None:
    # t(0.975, 2) = 4.3027; the standard error of 1, 2, 3 is 1/sqrt(3).
    found = student_interval(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2
    assert found.bounds == pytest.approx(
        (2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), 1e-4
    )


def test_one_round_gives_a_ratio_without_an_interval() -> None:
    found = found_ratio(rounds(3), rounds(2))
    assert found.value == pytest.approx(1.5)
    assert found.bounds is None


def test_a_round_that_brought_nothing_has_no_ratio() -> None:
    assert ratio(rounds(0, 1), rounds(1, 1)) is None
    assert ratio([], rounds(1, 1)) is None


def test_ratios_of_three_variants_multiply() -> None:
    a, b, c = rounds(5, 7, 6), rounds(3, 4, 5), rounds(2, 9, 4)
    product = found_ratio(a, b).value * found_ratio(b, c).value
    assert product == pytest.approx(found_ratio(a, c).value)


def test_an_interval_over_paired_rounds_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        neighbour = rng.lognormal(sigma=0.5, size=6)
        one, other = (100 * neighbour * rng.lognormal(sigma=0.03, size=6) for _ in range(2))
        held += found_ratio(rounds(*one), rounds(*other)).covers(1)
    assert 0.925 <= held / 400 <= 0.975


def test_the_noise_says_what_pairing_gains() -> None:
    busy = np.array([1.0, 0.5, 1.0, 0.6])
    one, other = rounds(*(200 * busy * [1, 1.01, 1, 0.99])), rounds(*(100 * busy))
    found = noise(one, other, in_a_row(1))
    assert found is not None
    assert found.within is None
    assert found.between > 0.3
    assert found.paired is not None
    assert found.paired < 0.01
    assert found.gain is not None
    assert found.gain > 1000


def test_the_baseline_has_no_ratio_to_itself_and_unpaired_variants_gain_nothing() -> None:
    one = rounds(100, 90)
    found = noise(one, one, in_a_row(1))
    assert found is not None
    assert (found.paired, found.gain) == (None, None)
    apart = noise(one, rounds(80, 90, at="midnight"), in_a_row(1))
    assert apart is not None
    assert (apart.paired, apart.gain) == (None, None)
    assert noise(rounds(100), one, in_a_row(1)) is None


def test_the_noise_within_a_round_is_that_of_its_own_requests() -> None:
    def steps(number: int) -> list[RequestRecord]:
        mixed, start = [], 0.0
        for length in (1.0, 2.0, 1.0, 2.0):
            mixed.append(
                a_record(round=number, scheduled_s=start, send_s=start, end_s=start + length)
            )
            start += length
        return mixed

    records = [*steps(0), *steps(1)]
    # Rates of 11 and 5.5 tokens a second in turns: standard error over mean.
    rates = np.array([11, 5.5, 11, 5.5])
    expected = rates.std(ddof=1) / 2 / rates.mean()
    found = noise(rounds(7, 7), rounds(7, 7), records)
    assert found is not None
    assert found.within == pytest.approx(expected)


def test_a_round_s_figures_are_of_its_counted_requests_alone() -> None:
    records = [
        *in_a_row(4),
        *in_a_row(4, length_s=2.0, round=1),
        a_record(counted=False, end_s=99.0),
        failed(round=1, scheduled_s=8.0, send_s=8.0, end_s=10.0),
    ]
    first, second = round_figures(records, Slo(ttft_s=0.6), {0: "noon"})
    assert (first.started_at, second.started_at) == ("noon", "")
    assert (first.output_tok_per_s, second.output_tok_per_s) == pytest.approx((11, 4.4))
    assert (first.goodput_per_s, second.goodput_per_s) == pytest.approx((1, 0))
    assert (first.e2e_p50_s, second.e2e_p50_s) == pytest.approx((1, 2))


def test_a_round_in_which_all_failed_has_no_latency() -> None:
    (only,) = round_figures([failed(point=ClosedLoop(1))], Slo(), {})
    assert (only.output_tok_per_s, only.e2e_p50_s) == (0, None)


def growing(lengths: list[float], number: int) -> list[RequestRecord]:
    rows, start = [], 0.0
    for length in lengths:
        end = start + length
        rows.append(a_record(round=number, scheduled_s=start, send_s=start, end_s=end))
        start = end
    return rows


def test_a_load_that_gets_slower_in_every_round_is_not_steady() -> None:
    warm = [row for n in range(4) for row in growing([1.0, 1.01, 1.0, 1.02], n)]
    cold = [row for n in range(4) for row in growing([1.0, 1.01, 1.2, 1.2 + n / 50], n)]
    assert is_steady(settling(warm))
    found = settling(cold)
    assert found is not None
    assert found.value == pytest.approx(1.2, abs=0.05)
    assert not is_steady(found)


def wave(start: float, lengths: list[float], number: int) -> list[RequestRecord]:
    return [
        a_record(
            round=number,
            point=ClosedLoop(len(lengths)),
            scheduled_s=start + index / 1000,
            send_s=start + index / 1000,
            end_s=start + length,
        )
        for index, length in enumerate(lengths)
    ]


def test_requests_of_one_wave_that_wait_for_each_other_are_no_drift() -> None:
    once = [row for n in range(4) for row in wave(0.0, [1.0, 1.1, 1.2, 1.3], n)]
    assert settling(once) is None
    twice = [*once, *[row for n in range(4) for row in wave(2.0, [1.0, 1.1, 1.2, 1.3], n)]]
    found = settling(twice)
    assert found is not None
    assert found.value == pytest.approx(1.0, abs=0.01)
    slower = [*once, *[row for n in range(4) for row in wave(2.0, [2.0, 2.1, 2.2, 2.3], n)]]
    assert not is_steady(settling(slower))


def test_one_slow_round_does_not_prove_that_a_load_is_not_steady() -> None:
    rows = [row for n in range(4) for row in growing([1.0, 1.0, 1.5 if n == 2 else 1.0, 1.0], n)]
    assert is_steady(settling(rows))
    assert is_steady(settling(growing([1.0, 3.0], 0)))
    assert settling(growing([1.0], 0)) is None
    assert is_steady(None)


def test_rounds_of_different_hours_that_went_on_until_they_told_enough_have_a_wider_ratio() -> None:
    one = rounds(*[100.0, 101.0, 99.0, 100.0, 100.5, 99.5] * 4, at="noon")
    other = rounds(*[90.0, 91.0, 89.0, 90.0, 90.5, 89.5] * 4, at="night")
    fixed, early = ratio(one, other), ratio(one, other, anytime=True)
    assert fixed is not None
    assert early is not None
    assert fixed.bounds is not None
    assert early.bounds is not None
    assert early.value == fixed.value
    assert early.bounds[0] < fixed.bounds[0]
    assert early.bounds[1] > fixed.bounds[1]


def test_an_interval_that_one_may_look_at_any_time_is_wider() -> None:
    one, other = rounds(*(10 + n % 3 for n in range(8))), rounds(*(8 + n % 2 for n in range(8)))
    fixed, free = (ratio(one, other, anytime=anytime) for anytime in (False, True))
    assert fixed is not None
    assert free is not None
    assert free.value == fixed.value
    assert fixed.low is not None
    assert free.low is not None
    assert free.low < fixed.low
