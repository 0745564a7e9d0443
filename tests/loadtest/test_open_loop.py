import numpy as np
import pytest

from deploy.plan import Plan
from loadtest.legs import send_lag_p99_s
from loadtest.load_kinds import points_of, read_point
from loadtest.open_loop import PIECE, BurstyRate, ConstantRate, OpenLoop, PoissonRate
from loadtest.stats import Floats
from loadtest.summary import output_throughput, percentiles
from tests.loadtest.examples import a_plan, a_record, in_a_row, some_asks

KINDS = (ConstantRate, PoissonRate, BurstyRate)


def gaps(point: OpenLoop, count: int = 3 * PIECE) -> Floats:
    return np.diff([point.due_s(index) for index in range(count)])


@pytest.mark.parametrize("kind", KINDS)
def test_arrivals_keep_the_rate_and_the_spread_of_their_kind(kind: type[OpenLoop]) -> None:
    found = gaps(kind(4.0))
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(0.25, rel=0.06)
    assert found.std() / found.mean() == pytest.approx(kind.spread, rel=0.08, abs=1e-6)


def test_poisson_arrivals_are_independent_and_bursty_ones_come_together() -> None:
    # Of a Poisson process the count of a window has the variance of its mean.
    for kind, low, high in ((PoissonRate, 0.8, 1.25), (BurstyRate, 2.0, 6.0)):
        times = [kind(1.0).due_s(index) for index in range(3 * PIECE)]
        counts = np.histogram(times, bins=int(times[-1] // 20))[0]
        assert low < counts.var() / counts.mean() < high


@pytest.mark.parametrize("kind", KINDS)
def test_the_schedule_is_the_same_for_everyone_and_scales_with_the_rate(
    kind: type[OpenLoop],
) -> None:
    assert [kind(2.0).due_s(n) for n in range(50)] == [kind(2.0).due_s(n) for n in range(50)]
    assert kind(4.0).due_s(PIECE + 7) == pytest.approx(kind(2.0).due_s(PIECE + 7) / 2)
    assert read_point(kind(2.5).key) == kind(2.5)


def test_a_late_round_has_arrivals_too() -> None:
    assert ConstantRate(1.0).due_s(600 * PIECE + 5) == 600 * PIECE + 6


def test_a_round_begins_its_own_arrivals_with_its_own_time() -> None:
    point = PoissonRate(5.0)
    asks = some_asks(point, round=1)
    due = [asks.take(100.0, 0.0).due_s for _ in range(4)]
    expected = [100.0 + point.due_s(10_000 + n) - point.due_s(10_000) for n in range(4)]
    assert due == pytest.approx(expected)


def test_there_are_users_for_whatever_is_in_flight() -> None:
    assert [PoissonRate(rate).users for rate in (0.1, 5.0, 1000.0)] == [16, 100, 512]


def test_a_stall_shows_in_the_response_latency_where_service_alone_hides_it() -> None:
    rows = in_a_row(20, length_s=0.1, point=PoissonRate(10.0))
    # The server stood still for 2 s, so what was due meanwhile was sent when users were free again.
    stalled = [
        a_record(**vars(row) | {"scheduled_s": row.send_s - 2.0 * (number >= 8)})
        for number, row in enumerate(rows)
    ]
    response = percentiles(stalled, "e2e_s")["p50"]
    service = percentiles(stalled, "service_e2e_s")["p50"]
    assert service.value == pytest.approx(0.1)
    assert response.value == pytest.approx(2.1)
    assert send_lag_p99_s(stalled) == pytest.approx(2.0)
    assert send_lag_p99_s(in_a_row(5)) is None


def test_throughput_is_what_the_arrivals_brought() -> None:
    assert output_throughput(in_a_row(24, point=ConstantRate(2.0))).value == pytest.approx(22)


@pytest.mark.parametrize("kind", [kind.kind for kind in KINDS])
def test_a_plan_asks_for_rates(kind: str) -> None:
    content = a_plan(1).model_dump(mode="json")
    content["load"] = {"kind": kind, "rates_per_s": [4, 0.5], "output_tokens": 8}
    plan = Plan.model_validate(content)
    assert [point.key for point in points_of(plan.load)] == [f"{kind}:0.5", f"{kind}:4"]
    content["load"]["rates_per_s"] = [1, 1]
    with pytest.raises(ValueError, match="a number stands twice"):
        Plan.model_validate(content)
