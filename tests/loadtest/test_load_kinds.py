"""Load points from plans and files, those of before there were kinds of load among them.

covers: loadtest/job.py
"""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.plan_load import ClosedLoopLoad
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_kinds import LOAD_KINDS, pick, points_of, read_point
from loadtest.records import as_row, read_records
from tests.loadtest.examples import a_record, failed

POINTS = points_of(ClosedLoopLoad(concurrencies=(16, 1, 4)))


def test_the_points_of_a_plan_ascend() -> None:
    assert (ClosedLoop(1), ClosedLoop(4), ClosedLoop(16)) == POINTS


def test_the_highest_point_is_picked_where_none_is_asked_for() -> None:
    assert pick(POINTS, None) == ClosedLoop(16)
    assert pick(POINTS, 4) == ClosedLoop(4)
    assert pick(POINTS, 3) is pick([], None) is None


def test_a_point_comes_back_from_its_key() -> None:
    assert [read_point(point.key) for point in POINTS] == list(POINTS)
    assert read_point("closed_loop:16").key == "closed_loop:16"


@pytest.mark.parametrize("key", ["drizzle:3", "16", None])
def test_a_key_of_no_known_kind_is_refused_with_the_known_ones(key: object) -> None:
    kinds = re.escape(f"is no load point (kinds: {', '.join(LOAD_KINDS)})")
    with pytest.raises(ValueError, match=f"{kinds}$"):
        read_point(key)


def test_records_that_name_a_concurrency_are_read_as_those_of_a_closed_loop(
    tmp_path: Path,
) -> None:
    records = [a_record(point=ClosedLoop(4)), failed(point=ClosedLoop(16))]
    rows = [as_row(record) for record in records]
    for row, concurrency in zip(rows, (4, 16), strict=True):
        del row["point"]
        row["concurrency"] = concurrency
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "requests.parquet")
    assert read_records(tmp_path / "requests.parquet") == records


def test_a_level_that_names_a_concurrency_is_read_as_one_of_a_closed_loop() -> None:
    client = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.001)
    end = LevelEnd(point=ClosedLoop(4), counted_s=1.5, client=client)
    assert end.model_dump(mode="json")["point"] == "closed_loop:4"
    older = {"concurrency": 4, "counted_s": 1.5, "client": client.model_dump()}
    assert LevelEnd.model_validate(older) == end
