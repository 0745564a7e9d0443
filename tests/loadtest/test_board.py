"""Generators see each other's counts, and the leader's phase, without messages."""

import os

from loadtest.board import Board, Count
from loadtest.closed_loop import ClosedLoop
from loadtest.levels import Level, Phase
from loadtest.load_point import LoadPoint


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


def test_places_add_up_and_keep_apart() -> None:
    board = Board.shared(2)
    board.add(0, Count.SENT, 3)
    board.add(1, Count.SENT, 4)
    board.add(1, Count.IN_FLIGHT, 1)
    assert board.total(Count.SENT) == 7
    assert (board.count(0, Count.SENT), board.count(1, Count.IN_FLIGHT)) == (3, 1)
    board.go_on(2)
    assert board.phase == 2
    board.clear()
    assert (board.phase, board.total(Count.SENT)) == (0, 0)


def test_a_forked_process_counts_on_the_same_board() -> None:
    board = Board.shared(2)
    if not (child := os.fork()):
        board.add(1, Count.FINISHED, 5)
        board.go_on(1)
        os._exit(0)
    os.waitpid(child, 0)
    assert (board.total(Count.FINISHED), board.phase) == (5, 1)


def test_only_the_leader_goes_on_and_it_goes_by_what_all_have_done() -> None:
    board = Board.shared(3)
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
