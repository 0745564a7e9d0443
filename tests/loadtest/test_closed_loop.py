"""What a load point means, at the one kind there is."""

import pytest

from loadtest.closed_loop import ClosedLoop


def test_the_point_of_a_closed_loop_says_what_it_is_wherever_it_stands() -> None:
    point = ClosedLoop(16)
    assert (point.label, point.short, point.place) == ("16 streams", "16 at once", "concurrency 16")
    assert (point.full, point.number) == ("16 concurrent requests", "16")
    assert ClosedLoop(1).full == "1 concurrent request"


def test_points_are_in_order_of_their_users_and_equal_by_them() -> None:
    assert sorted([ClosedLoop(16), ClosedLoop(1), ClosedLoop(4)])[-1] == ClosedLoop(16)
    assert ClosedLoop(4.0) == ClosedLoop(4)
    assert {ClosedLoop(4.0): "x"}[ClosedLoop(4)] == "x"


def test_a_block_is_a_request_of_every_user_and_they_share_its_time() -> None:
    point = ClosedLoop(4)
    assert (point.users, point.block, point.due_s(7)) == (4, 4, None)
    assert point.seconds([1.0, 1.0, 1.5, 2.5]) == pytest.approx(1.5)
