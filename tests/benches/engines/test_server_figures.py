"""What the benchmark of servers concludes: pure functions of its rounds."""

import pytest

from tests.benches.engines.server_figures import fastest_round, figure, rows, table
from tests.benches.engines.server_rounds import Cell, Outcome

ALONE = Cell(concurrency=1, requests=4, stream=False)
MANY = Cell(concurrency=16, requests=4, stream=True)
SERVERS = ("ours", "one", "other")


def outcomes(cell: Cell, **rounds: list[float | None]) -> list[Outcome]:
    return [
        Outcome(server=server, cell=cell, tok_per_s=value, fault=None if value else "cut off")
        for server, values in rounds.items()
        for value in values
    ]


def test_each_round_of_ours_is_held_against_the_same_round_of_the_better_peer() -> None:
    found = rows(
        "m", SERVERS, outcomes(ALONE, ours=[96, 45, 500], one=[100, 50, 400], other=[99, 49, 1])
    )
    (made,) = [figure(row, "ours") for row in found]
    assert (made.value, made.limit, made.met) == (0.96, 1.0, False)
    assert "96 (45-500)" in table(found, SERVERS).splitlines()[1]
    assert "0.96 (0.90-1.25)" in table(found, SERVERS).splitlines()[1]


@pytest.mark.parametrize("cell", [ALONE, MANY])
def test_ours_must_be_at_least_as_fast_as_the_better_peer(cell: Cell) -> None:
    (row,) = rows("m", SERVERS, outcomes(cell, ours=[99], one=[100], other=[50]))
    assert figure(row, "ours").met is False
    assert "!" in table([row], SERVERS).splitlines()[1]
    (row,) = rows("m", SERVERS, outcomes(cell, ours=[100], one=[100], other=[50]))
    assert figure(row, "ours").met is True


def test_a_peer_that_failed_a_cell_has_no_figure_and_its_reason_is_told() -> None:
    (row,) = rows("m", SERVERS, outcomes(MANY, ours=[80], one=[900, None], other=[70]))
    made = figure(row, "ours")
    assert (made.value, made.met) == (80 / 70, True)
    assert table([row], SERVERS).splitlines()[1].split()[4:7] == ["80", "(80-80)", "–"]
    assert row.faults == {"one": "cut off"}


def test_without_a_figure_of_ours_the_limit_is_missed() -> None:
    (row,) = rows("m", SERVERS, outcomes(MANY, ours=[None], one=[1], other=[1]))
    made = figure(row, "ours")
    assert (made.value, made.met) == (0.0, False)


def test_without_a_figure_of_any_peer_nothing_was_compared_and_the_limit_is_missed() -> None:
    (row,) = rows("m", SERVERS, outcomes(MANY, ours=[80], one=[None], other=[None]))
    assert figure(row, "ours").met is False


def test_the_fastest_round_of_any_server_is_what_the_client_must_outpace() -> None:
    found = rows("m", SERVERS, outcomes(MANY, ours=[80, 90], one=[100, 70], other=[None]))
    assert fastest_round(found) == 100
    assert fastest_round(rows("m", SERVERS, outcomes(MANY, ours=[None], one=[None]))) is None
