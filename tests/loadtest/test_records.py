"""Records and messages survive the way between the processes of a load test."""

import json
from pathlib import Path

from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth, LevelEnd, RequestEnd
from loadtest.records import read_records, write_records
from quantize.jobs.wire import plain, typed
from tests.loadtest.examples import a_record, failed


def test_records_come_back_from_parquet_as_they_were(tmp_path: Path) -> None:
    records = [a_record(), failed(max_gap_s=None, counted=False)]
    write_records(tmp_path / "requests.parquet", records)
    assert read_records(tmp_path / "requests.parquet") == records
    assert [path.name for path in tmp_path.iterdir()] == ["requests.parquet"]


def test_messages_of_the_locust_process_survive_their_way() -> None:
    end = LevelEnd(
        point=ClosedLoop(4),
        counted_s=1.5,
        client=ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.001),
    )
    requests = [RequestEnd.of(record) for record in (a_record(), failed())]
    assert [message.record for message in requests] == [a_record(), failed()]
    for message in (*requests, end):
        assert typed(type(message), json.loads(json.dumps(plain(message)))) == message


def test_a_busy_or_late_client_is_saturated() -> None:
    assert not ClientHealth(cpu_share_p95=0.5, loop_lag_p95_s=0.001).saturated
    assert ClientHealth(cpu_share_p95=0.95, loop_lag_p95_s=0.001).saturated
    assert ClientHealth(cpu_share_p95=0.5, loop_lag_p95_s=0.5).saturated
