import pytest

from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth, LevelEnd
from loadtest.validity import left_out_words, undisturbed, void_reasons, why_void


def level(
    lag_s: float = 0.001,
    neighbours: float | None = None,
    restarts: int = 0,
    late_s: float | None = None,
) -> LevelEnd:
    return LevelEnd(
        point=ClosedLoop(1),
        counted_s=1.0,
        client=ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=lag_s),
        neighbour_share=neighbours,
        restarts=restarts,
        send_lag_p99_s=late_s,
    )


@pytest.mark.parametrize(
    ("disturbed", "why"),
    [
        (level(), None),
        (level(neighbours=0.1), None),
        (level(neighbours=0.38), "other programs used 38 % of the processors"),
        (level(restarts=1), "the engine was restarted"),
        (level(late_s=0.01), None),
        (level(late_s=0.03), "requests were sent later than they were due"),
        (level(lag_s=0.5, neighbours=0.38), "the load generator itself was the limit"),
    ],
)
def test_a_leg_is_void_when_something_else_may_show_in_it(
    disturbed: LevelEnd, why: str | None
) -> None:
    assert why_void(disturbed, 0.1) == why


def test_a_plan_may_bear_more_of_its_neighbours() -> None:
    assert why_void(level(neighbours=0.38), 0.5) is None


def test_what_happened_several_times_is_told_once_with_its_worst() -> None:
    levels = [level(neighbours=0.12), level(), level(neighbours=0.3), level(restarts=1)]
    assert void_reasons(levels, 0.1) == [
        "other programs used up to 30 % of the processors in 2 of 4 legs (10 % are allowed)",
        "the engine was restarted during 1 of 4 legs",
    ]
    assert void_reasons(levels[1:2], 0.1) == []


def test_a_few_rounds_beside_neighbours_do_not_count_and_the_others_do() -> None:
    quiet, busy = level(neighbours=0.02), level(neighbours=0.4)
    assert undisturbed(dict(enumerate([quiet, busy, quiet])), 0.1) == [0, 2]
    assert undisturbed(dict(enumerate([quiet] * 3)), 0.1) == [0, 1, 2]
    assert left_out_words([busy], 3, 0.1) == (
        "1 of 3 legs do not count: other programs used up to 40 % of the processors "
        "(10 % are allowed)"
    )
    assert left_out_words([], 3, 0.1) == ""


@pytest.mark.parametrize("shares", [[0.4, 0.02], [0.4, 0.4, 0.02, 0.02], [0.4] * 6])
def test_where_too_many_rounds_had_neighbours_none_is_left_out(shares: list[float]) -> None:
    found = {n: level(neighbours=share) for n, share in enumerate(shares)}
    assert undisturbed(found, 0.1) == [*found]


def test_a_round_is_never_left_out_for_what_tells_of_the_variant() -> None:
    found = {0: level(), 1: level(), 2: level(restarts=1), 3: level(lag_s=0.5), 4: level(late_s=1)}
    assert undisturbed(found, 0.1) == [*found]
