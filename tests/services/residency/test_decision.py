"""Who wakes, who makes room and when: oldest first, as few as it takes, one start at a time."""

import pytest

from services.residency.decision import (
    NOTHING,
    Decision,
    Memory,
    Phase,
    Standing,
    decide,
    leaves_at_s,
)

ONE: Memory = {"machine": 10}
ROOM: Memory = {"machine": 10}
TWICE: Memory = {"machine": 20}


def asleep(wanted_since_s: float | None = None, needs: Memory = ONE) -> Standing:
    return Standing(needs=needs, phase=Phase.ASLEEP, wanted_since_s=wanted_since_s)


def awake(used_at_s: float = 0.0, needs: Memory = ONE) -> Standing:
    return Standing(needs=needs, phase=Phase.AWAKE, used_at_s=used_at_s)


def holding(phase: Phase, needs: Memory = ONE) -> Standing:
    return Standing(needs=needs, phase=phase)


def leave(*names: str) -> Decision:
    return Decision(leave=frozenset(names))


def test_nobody_wakes_who_is_not_waited_for() -> None:
    assert decide({"a": asleep(), "b": asleep()}, ROOM) == NOTHING
    assert decide({"a": asleep(), "b": awake()}, TWICE) == NOTHING


def test_who_has_been_waited_for_longest_wakes_first() -> None:
    assert decide({"a": asleep(5), "b": asleep(3), "c": asleep(4)}, ROOM) == Decision(wake="b")


def test_of_two_that_were_asked_for_at_once_the_first_of_the_plan_wakes() -> None:
    assert decide({"b": asleep(3), "a": asleep(3)}, ROOM) == Decision(wake="b")


def test_nobody_makes_room_where_there_is_some() -> None:
    assert decide({"a": awake(), "b": asleep(1)}, TWICE) == Decision(wake="b")


def test_one_that_is_awake_makes_room_and_nobody_wakes_before_it_has() -> None:
    assert decide({"a": awake(), "b": asleep(1)}, ROOM) == leave("a")
    assert decide({"a": holding(Phase.LEAVING), "b": asleep(1)}, ROOM) == NOTHING
    assert decide({"a": asleep(), "b": asleep(1)}, ROOM) == Decision(wake="b")


def test_a_small_one_does_not_pass_one_that_has_been_waited_for_longer() -> None:
    large, small = asleep(1, TWICE), asleep(2)
    standings = {"a": awake(), "large": large, "small": small}
    assert decide(standings, TWICE) == leave("a")


def test_engines_start_one_after_the_other_even_where_there_is_room() -> None:
    assert decide({"a": holding(Phase.WAKING), "b": asleep(1)}, TWICE) == NOTHING


def test_whom_nobody_used_for_longest_makes_room_and_no_more_than_it_takes() -> None:
    standings = {"a": awake(7), "b": awake(2), "c": awake(5), "d": asleep(1)}
    assert decide(standings, {"machine": 30}) == leave("b")
    larger = {**standings, "d": asleep(1, TWICE)}
    assert decide(larger, {"machine": 30}) == leave("b", "c")


def test_what_is_leaving_already_counts_as_room_that_comes() -> None:
    standings = {"a": awake(), "b": holding(Phase.LEAVING), "c": asleep(1)}
    assert decide(standings, TWICE) == NOTHING


def test_nobody_makes_room_in_vain_while_another_still_wakes() -> None:
    standings = {"a": awake(), "b": holding(Phase.WAKING), "c": asleep(1, TWICE)}
    assert decide(standings, TWICE) == NOTHING


def test_memories_of_another_kind_are_not_in_each_others_way() -> None:
    on_gpu: Memory = {"GPU": 10}
    standings = {"a": awake(needs=on_gpu), "b": asleep(1)}
    assert decide(standings, {"GPU": 10, "machine": 10}) == Decision(wake="b")
    standings = {"a": awake(needs=on_gpu), "b": awake(), "c": asleep(1, on_gpu)}
    assert decide(standings, {"GPU": 10, "machine": 10}) == leave("a")


def test_one_that_is_larger_than_the_room_wakes_alone() -> None:
    assert decide({"a": asleep(1, TWICE)}, ROOM) == Decision(wake="a")
    assert decide({"a": asleep(1, TWICE), "b": awake()}, ROOM) == leave("b")


@pytest.mark.parametrize(
    ("idle_since_s", "leaves_s"),
    [(None, 110), (100, 101), (95, 101), (104, 105), (109.5, 110)],
)
def test_one_stays_for_a_while_unless_nothing_is_asked_of_it(
    idle_since_s: float | None, leaves_s: float
) -> None:
    found = leaves_at_s(awake_since_s=100, idle_since_s=idle_since_s, stay_s=10, linger_s=1)
    assert found == leaves_s


def test_two_that_are_asked_without_end_are_awake_in_turns() -> None:
    """Played through: whoever is awake is waited for again as soon as it has left."""
    standings = {"a": asleep(0), "b": asleep(1)}
    awake_in_turn: list[str] = []
    for step in range(2, 40):
        decision = decide(standings, ROOM)
        if decision.wake is not None:
            awake_in_turn.append(decision.wake)
            standings[decision.wake] = awake(step)
        for name in decision.leave:
            standings[name] = asleep(step)
    assert len(awake_in_turn) > 10
    assert awake_in_turn == ["a", "b"] * (len(awake_in_turn) // 2) + ["a"] * (
        len(awake_in_turn) % 2
    )
