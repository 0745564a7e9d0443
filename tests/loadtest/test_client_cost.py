import pytest

from loadtest.certificate import Meeting
from loadtest.client_cost import PACE, Busy, Cost, busy_of, climb, cost_of, measure_cost
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth, Leg, LegEnd, LevelEnd
from loadtest.prompts import plain_prompts
from tests.loadtest.examples import in_a_row


def test_two_loads_tell_the_cost_of_a_request_from_that_of_an_event() -> None:
    short = Busy(requests_per_s=400, events_per_s=800, cpu_share=400 * 500e-6 + 800 * 30e-6)
    long = Busy(requests_per_s=20, events_per_s=1280, cpu_share=20 * 500e-6 + 1280 * 30e-6)
    cost = cost_of(short, long)
    assert (cost.per_request_us, cost.per_event_us) == pytest.approx((500, 30))


def test_noise_makes_no_negative_cost() -> None:
    short = Busy(requests_per_s=400, events_per_s=800, cpu_share=0.1)
    long = Busy(requests_per_s=20, events_per_s=1280, cpu_share=0.5)
    assert cost_of(short, long).per_request_us == 0


def test_a_core_bears_as_many_streams_as_their_answers_leave_time_for() -> None:
    # 51 tokens: 0.05 s and 50 gaps of 0.02 s; 51 events of 20 us and a request of 30 us.
    cost = Cost(per_request_us=30, per_event_us=20)
    assert cost.streams(PACE, 51) == pytest.approx(1.05e6 / 1050)


def test_the_load_is_read_from_records_and_the_client_s_own_time() -> None:
    point = ClosedLoop(1)
    client = ClientHealth(cpu_share_p95=0.2, loop_lag_p95_s=0, cpu_s=0.5)
    leg = Leg(variant="pace-0", point=point)
    end = LegEnd(leg=leg, level=LevelEnd(point=point, counted_s=5.0, client=client))
    found = Meeting(ends={point: end}, records={point: in_a_row(5, length_s=0.5)})
    assert busy_of(found, point, 11) == Busy(requests_per_s=2, events_per_s=22, cpu_share=0.1)


def test_the_real_client_has_a_cost_and_the_climb_ends_where_it_saturates() -> None:
    cost = measure_cost(plain_prompts())
    assert 0 < cost.per_request_us + cost.per_event_us < 100_000
    steps = list(climb(plain_prompts(), (2, 4)))
    assert steps[0].point == ClosedLoop(2)
    assert all(not step.why_void for step in steps[:-1])
