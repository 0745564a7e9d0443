from loadtest.closed_loop import ClosedLoop
from loadtest.levels import LONGEST_STRETCH, Level, Phase


def a_level(concurrency: int = 1, least: int = 5) -> Level:
    return Level(point=ClosedLoop(concurrency), least=least, warmup_s=1, duration_s=10, now=0)


def run_one(level: Level, start: float, end: float) -> bool:
    """Send one request and finish it; returns whether it counts."""
    ticket = level.begin(start)
    level.finish(ticket, end)
    return ticket.counted


def test_a_level_needs_a_request_per_user_and_all_rounds_together_a_median() -> None:
    assert ClosedLoop(16).least_requests(2) == 16
    assert ClosedLoop(1).least_requests(2) == 3
    assert ClosedLoop(1).least_requests(1) == 5


def phase_at(level: Level, now: float) -> Phase:
    level.advance(now)
    return level.phase


def test_requests_sent_in_the_warm_up_do_not_count_even_if_they_end_after_it() -> None:
    level = a_level()
    assert run_one(level, 0.5, 5) is False
    assert run_one(level, 5, 6) is True


def test_the_warm_up_waits_for_a_first_answer() -> None:
    level = a_level()
    ticket = level.begin(0)
    assert phase_at(level, 4) is Phase.WARMING
    level.finish(ticket, 5)
    assert phase_at(level, 5) is Phase.COUNTING


def test_a_request_sent_in_the_window_counts_to_its_end_and_later_ones_do_not() -> None:
    level = a_level()
    run_one(level, 0, 1)
    for second in range(1, 10):
        assert run_one(level, second, second + 1)
    late = level.begin(10.5)
    assert phase_at(level, 11.5) is Phase.FINISHING
    assert level.begin(12).counted is False
    level.finish(late, 15)
    assert phase_at(level, 15) is Phase.DONE


def test_a_slow_variant_keeps_its_window_until_there_are_enough_requests() -> None:
    level = a_level()
    run_one(level, 0, 8)
    for number in range(1, 5):
        assert run_one(level, 8 * number, 8 * number + 8)
        assert phase_at(level, 8 * number + 8) is Phase.COUNTING
    assert run_one(level, 40, 48)
    assert phase_at(level, 48) is Phase.DONE


def test_at_high_concurrency_every_user_is_waited_for() -> None:
    level = a_level(concurrency=8, least=8)
    run_one(level, 0, 1)
    tickets = [level.begin(2) for _ in range(7)]
    assert phase_at(level, 30) is Phase.COUNTING
    tickets.append(level.begin(30))
    assert phase_at(level, 30) is Phase.FINISHING
    assert [ticket.index for ticket in tickets] == list(range(1, 9))


def test_a_server_that_never_answers_ends_the_level_all_the_same() -> None:
    level = a_level()
    level.begin(0)
    assert phase_at(level, 1 + LONGEST_STRETCH * 10) is Phase.COUNTING
    assert phase_at(level, 1 + LONGEST_STRETCH * 20) is Phase.DONE
