"""Together where all fit or the plan wants it, else in turns; what an engine is told to take."""

from collections.abc import Mapping

import pytest

from deploy.residency.needs import Kind, Need
from deploy.residency.residency import NoRoomError, Room, Tenant, decide_residency
from quantize.sizing.capacity import GIB

ROOM: Mapping[Kind, Room] = {
    "GPU": Room(usable_bytes=73 * GIB, total_bytes=80 * GIB),
    "machine": Room(usable_bytes=8 * GIB, total_bytes=10 * GIB),
}


def need(kind: Kind, gib: float) -> Need:
    return Need(kind=kind, size_bytes=int(gib * GIB))


def on_gpu(gib: float, alone_gib: float = 72) -> Tenant:
    return Tenant(needs=need("GPU", gib), alone=need("GPU", alone_gib), takes_share=True)


def on_cpu(gib: float) -> Tenant:
    return Tenant(needs=need("machine", gib), alone=need("machine", gib))


def test_all_are_awake_where_they_fit() -> None:
    found = decide_residency("auto", {"a": on_cpu(3), "b": on_cpu(4)}, ROOM)
    assert (found.mode, found.one_by_one) == ("together", False)
    assert list(found.lines()) == [
        "residency: together: 2 variants need 7.0 GiB of this machine's memory, of which 8.0 GiB "
        "may be taken",
        "  a    3.0 GiB of this machine's memory",
        "  b    4.0 GiB of this machine's memory",
    ]


def test_they_take_turns_where_not_all_fit() -> None:
    found = decide_residency("auto", {"a": on_cpu(5), "b": on_cpu(4)}, ROOM)
    assert (found.mode, found.one_by_one) == ("turns", True)
    assert "9.0 GiB of this machine's memory, of which 8.0 GiB may be taken" in found.why
    assert "a request for one that sleeps waits" in next(found.lines())


def test_on_a_gpu_each_engine_is_told_the_share_that_it_needs() -> None:
    found = decide_residency("auto", {"a": on_gpu(20), "b": on_gpu(10.01)}, ROOM)
    assert (found.mode, found.one_by_one) == ("together", True)
    assert found.shares == {"a": 0.25, "b": 0.126}
    assert sum(found.shares.values()) < 0.92
    assert "  a   20.0 GiB of the GPU's memory, 25.0% of it" in list(found.lines())


def test_a_share_that_the_plan_or_the_engine_fixes_is_not_told() -> None:
    fixed = Tenant(needs=need("GPU", 20), alone=need("GPU", 20))
    found = decide_residency("together", {"a": fixed, "b": on_gpu(8)}, ROOM)
    assert found.shares == {"b": 0.1}


def test_in_turns_each_has_the_gpu_as_it_would_have_it_alone() -> None:
    found = decide_residency("auto", {"a": on_gpu(40), "b": on_gpu(40)}, ROOM)
    assert found.mode == "turns"
    assert found.shares == {}
    assert {name: it.size_bytes for name, it in found.needs.items()} == {
        "a": 72 * GIB,
        "b": 72 * GIB,
    }


def test_one_that_is_larger_than_the_room_still_has_its_turn() -> None:
    found = decide_residency("auto", {"a": on_cpu(20), "b": on_cpu(1)}, ROOM)
    assert list(found.lines())[1:] == [
        "  a   20.0 GiB of this machine's memory, more than may be taken: it is awake alone",
        "  b    1.0 GiB of this machine's memory",
    ]


def test_a_plan_may_want_turns_though_all_fit() -> None:
    found = decide_residency("turns", {"a": on_cpu(1), "b": on_cpu(1)}, ROOM)
    assert found.mode == "turns"
    assert found.why.startswith("as the plan says (serving.residency)")


def test_together_on_a_gpu_without_room_is_refused_and_on_a_cpu_it_is_the_plans_word() -> None:
    with pytest.raises(NoRoomError, match=r"80\.0 GiB of the GPU's memory.*residency: turns"):
        decide_residency("together", {"a": on_gpu(40), "b": on_gpu(40)}, ROOM)
    assert decide_residency("together", {"a": on_cpu(9), "b": on_cpu(9)}, ROOM).mode == "together"


def test_what_computes_on_the_cpu_of_a_gpu_machine_needs_none_of_the_gpu() -> None:
    found = decide_residency("auto", {"a": on_gpu(70), "b": on_cpu(7)}, ROOM)
    assert found.mode == "together"
    assert found.shares == {"a": 0.875}
