"""A ramp's arrivals follow the rate that rises, and its figures are told by parts of it."""

import numpy as np
import pytest

from deploy.plan_load import RampLoad
from loadtest.asks import Asks
from loadtest.load_kinds import read_point
from loadtest.open_loop import ConstantRate
from loadtest.ramp import FIRST_SHARE, Ramp, arrival_s
from loadtest.summary import parts, request_rate
from tests.loadtest.examples import a_record, some_asks

LOAD = RampLoad(kind="ramp", to_rates_per_s=(40,), warmup_s=5, duration_s=100)


def ramp(round: int = 0) -> Asks:
    return some_asks(Ramp(40.0), LOAD, round=round)


def test_the_expected_arrivals_are_the_integral_of_the_rate() -> None:
    first, last = 4.0, 40.0
    for passed in (0.0, 0.5, 10.0, 99.0, 100.0):
        rate_then = first + (last - first) * passed / 100
        expected = first * 5 + (first + rate_then) / 2 * passed
        assert arrival_s(expected, last, 5.0, 100.0) == pytest.approx(5 + passed)
    beyond = first * 5 + (first + last) / 2 * 100 + 3 * last
    assert arrival_s(beyond, last, 5.0, 100.0) == pytest.approx(108)
    assert arrival_s(10.0, last, 5.0, 100.0) == pytest.approx(2.5)


def test_arrivals_come_as_fast_as_the_ramp_says_and_are_each_rounds_own() -> None:
    asks = ramp()
    due = np.array([asks.take(0.0, 0.0).since_s for _ in range(2400)])
    assert (np.diff(due) >= 0).all()
    for low, high in ((5, 30), (55, 80), (80, 105)):
        middle = (low + high) / 2 - 5
        expected = (40 * FIRST_SHARE + 40 * (1 - FIRST_SHARE) * middle / 100) * (high - low)
        seen = ((due >= low) & (due < high)).sum()
        assert abs(seen - expected) < 4 * expected**0.5
    same, other = ramp(), ramp(round=1)
    assert [same.take(0.0, 0.0).since_s for _ in range(9)] == due[:9].tolist()
    assert [other.take(0.0, 0.0).since_s for _ in range(9)] != due[:9].tolist()


def test_a_ramp_is_told_in_five_parts_and_decides_nothing() -> None:
    point = Ramp(40.0)
    at = np.linspace(0, 10, 51)
    records = [
        a_record(point=point, scheduled_s=t, send_s=t, first_token_s=t + 0.1 + t**2 / 10, end_s=t)
        for t in map(float, at)
    ]
    found = parts(records)
    assert [part.name for part in found][:2] == ["4 to 11.2 /s", "11.2 to 18.4 /s"]
    assert sum(part.requests for part in found) == 51
    middles = [part.ttft_p50_s for part in found]
    assert middles == sorted(middles, key=lambda it: it or 0)
    assert (point.decides, point.certified_as) == (False, ConstantRate(40.0))
    assert read_point(point.key) == point


def test_its_rate_is_by_the_time_in_which_requests_arrived() -> None:
    records = [
        a_record(point=Ramp(40.0), scheduled_s=t, send_s=t, end_s=t + 9.0)
        for t in (0.0, 1.0, 1.5, 1.75)
    ]
    # Four arrivals with gaps of 1.75 s / 3 on average.
    assert request_rate(records).value == pytest.approx(3 / 1.75)
