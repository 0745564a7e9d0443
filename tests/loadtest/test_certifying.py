"""At which pace the client is certified: that of what was answered, whatever else failed."""

import pytest

from deploy.plan_load import ClosedLoopLoad
from loadtest.certifying import USUAL_PACE, fastest_paces, timed
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_file import LevelSummary
from loadtest.merging import summarize_level
from loadtest.null_server import Pace
from loadtest.records import RequestRecord
from tests.loadtest.examples import a_record, failed, in_a_row

CALM = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.001)


def paced(*records: RequestRecord) -> Pace | None:
    end = LevelEnd(point=records[0].point, counted_s=9.0, client=CALM)
    level = summarize_level(records, [end], load=ClosedLoopLoad())
    return fastest_paces(timed([level], lambda: records)).get(ClosedLoop(1))


def test_the_answers_tell_the_pace_where_more_failed() -> None:
    expected = pytest.approx((0.5, 0.05))
    for records in (in_a_row(9), [*in_a_row(3), *[failed() for _ in range(9)]], [a_record()]):
        pace = paced(*records)
        assert pace is not None
        assert (pace.ttft_s, pace.gap_s) == expected


def test_answers_of_one_token_have_a_usual_gap() -> None:
    pace = paced(a_record(output_tokens=1, chunks=1, last_token_s=0.5), failed())
    assert pace == Pace(ttft_s=0.5, gap_s=USUAL_PACE.gap_s)


def test_a_point_without_answers_tells_none() -> None:
    assert paced(failed(), failed()) is None


def test_the_fastest_of_several_decides() -> None:
    end = LevelEnd(point=ClosedLoop(1), counted_s=9.0, client=CALM)
    both: list[tuple[LevelSummary, Pace]] = []
    for length_s in (1.0, 2.0):
        records = in_a_row(9, length_s=length_s)
        both += timed([summarize_level(records, [end], load=ClosedLoopLoad())], list)
    assert fastest_paces(both)[ClosedLoop(1)].ttft_s == pytest.approx(0.5)
