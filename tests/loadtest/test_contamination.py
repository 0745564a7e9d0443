"""Runaway requests come as often as the plan says, and the figures are those of the others."""

from deploy.plan_load import ContaminationLoad
from loadtest.closed_loop import ClosedLoop
from loadtest.contamination import Contaminated
from loadtest.load_kinds import read_point
from loadtest.summary import parts, percentiles
from tests.loadtest.examples import a_record, in_a_row, some_asks

LOAD = ContaminationLoad.model_validate(
    {
        "kind": "contamination",
        "concurrencies": [4],
        "long_share": 0.1,
        "prompt_tokens": 16,
        "output_tokens": 8,
        "long_prompt_tokens": 700,
        "long_output_tokens": 200,
    }
)


def test_every_tenth_request_is_long_for_every_variant() -> None:
    asks = some_asks(Contaminated(4), LOAD)
    asked = [asks.ask(asks.take(0.0, 0.0)) for _ in range(100)]
    long = [index for index, ask in enumerate(asked) if ask.intruder]
    assert long == list(range(9, 100, 10))
    assert {(ask.prompt_tokens, ask.output_tokens) for ask in asked if ask.intruder} == {(700, 200)}
    assert {(a.prompt_tokens, a.output_tokens) for a in asked if not a.intruder} == {(16, 8)}
    again = some_asks(Contaminated(4), LOAD)
    assert [again.ask(again.take(0.0, 0.0)) for _ in range(100)] == asked


def test_the_long_ones_are_told_apart_and_are_in_no_percentile() -> None:
    point = Contaminated(4)
    long = [a_record(point=point, last_token_s=60.0, end_s=60.0, intruder=True) for _ in range(5)]
    records = [*long, *in_a_row(15, point=point)]
    assert percentiles(records, "e2e_s")["p50"].value == 1.0
    told = [(part.name, part.requests) for part in parts(records)]
    assert told == [("the others", 15), ("long requests", 5)]


def test_it_decides_nothing_and_the_client_is_certified_by_its_streams() -> None:
    point = read_point("contamination:4")
    assert (point.decides, point.certified_as) == (False, ClosedLoop(4))
    assert LOAD.longest_request == 900
