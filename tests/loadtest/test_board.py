"""Generators see each other's counts, and the leader's phase, without messages."""

import os
from pathlib import Path

from loadtest.board import Board, Count
from loadtest.closed_loop import ClosedLoop
from loadtest.levels import Level, Phase
from loadtest.load_point import LoadPoint
from loadtest.open_loop import ConstantRate


def part(board: Board, place: int, point: LoadPoint, **changes: bool) -> Level:
    return Level(
        point=point,
        least=2,
        warmup_s=1,
        duration_s=10,
        now=100,
        board=board,
        place=place,
        places=3,
        **changes,
    )


def test_places_of_one_file_add_up_and_keep_apart(tmp_path: Path) -> None:
    one, two = (Board.shared(tmp_path / "board", 2) for _ in range(2))
    one.add(0, Count.SENT, 3)
    two.add(1, Count.SENT, 4)
    two.add(1, Count.IN_FLIGHT, 1)
    assert (one.total(Count.SENT), two.total(Count.SENT)) == (7, 7)
    assert (two.count(0, Count.SENT), one.count(1, Count.IN_FLIGHT)) == (3, 1)
    one.go_on(2)
    assert two.phase == 2
    one.clear()
    assert (two.phase, two.total(Count.SENT)) == (0, 0)


def test_a_forked_process_counts_on_the_same_board(tmp_path: Path) -> None:
    board = Board.shared(tmp_path / "board", 2)
    if not (child := os.fork()):
        Board.shared(tmp_path / "board", 2).add(1, Count.FINISHED, 5)
        os._exit(0)
    os.waitpid(child, 0)
    assert board.total(Count.FINISHED) == 5


def test_generators_share_a_schedule_and_the_numbers_of_its_requests() -> None:
    board, point = Board.alone(), ConstantRate(10.0)
    levels = [part(board, place, point, leads=False) for place in range(3)]
    due = [level.next_due() for _ in range(2) for level in levels]
    alone = Level(point=point, least=2, warmup_s=1, duration_s=10, now=100)
    assert due == [alone.next_due() for _ in range(6)]


def test_only_the_leader_goes_on_and_it_goes_by_what_all_have_done(tmp_path: Path) -> None:
    board = Board.shared(tmp_path / "board", 3)
    leader, *others = (part(board, place, ClosedLoop(3), leads=place == 0) for place in range(3))
    tickets = [level.begin(100) for level in others]
    assert [ticket.index for ticket in tickets] == [1, 2]
    others[0].finish(tickets[0], 150)
    assert others[0].phase == Phase.WARMING
    leader.advance(150)
    assert {level.phase for level in (leader, *others)} == {Phase.COUNTING}
    counted = [level.begin(151) for level in others]
    assert [(ticket.index, ticket.counted) for ticket in counted] == [(4, True), (5, True)]
    leader.advance(161)
    assert {level.phase for level in (leader, *others)} == {Phase.FINISHING}
    for level, ticket in zip(others, counted, strict=True):
        level.finish(ticket, 170)
    leader.advance(171)
    assert {level.phase for level in (leader, *others)} == {Phase.DONE}
