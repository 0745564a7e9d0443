"""Which prompts the servers are asked, and in which order."""

from pathlib import Path

from tests.benches.engines.server_rounds import Cell, Workload, numbered_cells, rotated

CELLS = tuple(
    Cell(concurrency=requests, requests=requests, stream=stream)
    for stream in (False, True)
    for requests in (1, 8, 16)
)
WORKLOAD = Workload(
    name="any",
    artifact=Path("unused"),
    prompt_tokens=16,
    output_tokens=32,
    rounds=3,
    cells=CELLS,
    threads=2,
)


def test_no_prompt_is_asked_twice_so_that_no_prefix_cache_answers_for_the_model() -> None:
    """A small cell after a large one would ask the large one's prompts again."""
    warm_up = list(range(CELLS[-1].requests))
    asked = [
        number
        for _, cell, first in numbered_cells(WORKLOAD)
        for number in range(first, first + cell.requests)
    ]
    together = warm_up + asked
    assert len(set(together)) == len(together)
    assert len(asked) == WORKLOAD.rounds * sum(cell.requests for cell in CELLS)


def test_every_round_asks_all_cells_in_their_order() -> None:
    """Rounds are compared cell by cell."""
    turns = [(number, cell) for number, cell, _ in numbered_cells(WORKLOAD)]
    assert turns == [(number, cell) for number in range(3) for cell in CELLS]


def test_over_as_many_rounds_as_servers_each_has_every_place() -> None:
    """What a place brings or costs is then nobody's."""
    servers = ["ours", "single", "batched"]
    orders = [rotated(servers, number) for number in range(5)]
    assert [set(place) for place in zip(*orders[:3], strict=True)] == [set(servers)] * 3
    assert orders[3:] == orders[:2]
    assert orders[0][0] == orders[1][-1]
