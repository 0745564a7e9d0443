"""When an engine is started again, given up, and taken for hung."""

from services.engine.life_cycle import End, RestartPolicy, Watch, is_idle

POLICY = RestartPolicy(crashes=4, window_s=600)


def crashes(*times_s: float) -> list[End]:
    return [End(at_s=at_s, was_ready=True) for at_s in times_s]


def failed_starts(*times_s: float) -> list[End]:
    return [End(at_s=at_s, was_ready=False) for at_s in times_s]


def test_pauses_double_until_a_crash_loop_is_given_up() -> None:
    ends = crashes(0, 1, 2, 3)
    pauses = [POLICY.pause_s(ends[:count], now_s=3) for count in (1, 2, 3, 4)]
    assert pauses == [0.5, 1.0, 2.0, None]


def test_a_slow_crash_loop_is_given_up_as_well() -> None:
    assert POLICY.pause_s(crashes(0, 120, 240), now_s=240) is not None
    assert POLICY.pause_s(crashes(0, 120, 240, 360), now_s=360) is None


def test_crashes_of_long_ago_are_forgiven() -> None:
    assert POLICY.pause_s(crashes(0, 601, 1202, 1803, 2404), now_s=2404) == 0.5


def test_an_engine_that_never_came_up_gets_one_more_start() -> None:
    assert POLICY.pause_s(failed_starts(0), now_s=0) == 0.5
    assert POLICY.pause_s(failed_starts(0, 9), now_s=9) is None


def test_starts_that_fail_slower_than_the_window_are_still_counted() -> None:
    ends = [*crashes(0), *failed_starts(700, 1400, 2100, 2800)]
    assert POLICY.pause_s(ends[:4], now_s=2100) == 2.0
    assert POLICY.pause_s(ends, now_s=2800) is None


def test_no_pause_is_longer_than_half_a_minute() -> None:
    patient = RestartPolicy(crashes=100, window_s=600)
    assert patient.pause_s(crashes(*range(50)), now_s=50) == 30.0


def after(watch: Watch, *answers: bool, idle: bool) -> Watch:
    for answered in answers:
        watch = watch.after(answered=answered, idle=idle)
    return watch


def test_an_idle_engine_has_hung_after_three_misses_in_a_row() -> None:
    watch = after(Watch(), False, False, True, False, False, idle=True)
    assert not watch.hung
    assert after(watch, False, idle=True).hung


def test_an_engine_that_computes_gets_four_times_as_long() -> None:
    watch = after(Watch(), *[False] * 11, idle=False)
    assert not watch.hung
    assert after(watch, False, idle=False).hung


def test_an_engine_that_uses_next_to_no_cpu_is_idle() -> None:
    assert is_idle(cpu_s=0.0, elapsed_s=1.0)
    assert not is_idle(cpu_s=0.5, elapsed_s=1.0)
