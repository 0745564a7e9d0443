"""Several processes are one load generator: one schedule, one window, records in order.

covers: loadtest/conductor.py, loadtest/locust_process.py, loadtest/locustfile.py
"""

import threading
import time
from itertools import pairwise

import psutil
import pytest

from loadtest import locust_process
from loadtest.certificate import Meeting, meet
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError
from loadtest.null_server import Pace
from loadtest.open_loop import ConstantRate
from loadtest.prompts import plain_prompts
from quantize.root import ROOT

PACE = Pace(ttft_s=0.02, gap_s=0.01)


def met(*points: LoadPoint, duration_s: float = 1.0, processes: int = 2) -> Meeting:
    return meet(
        dict.fromkeys(points, PACE),
        plain_prompts(),
        prompt_tokens=16,
        output_tokens=4,
        duration_s=duration_s,
        processes=processes,
    )


@pytest.mark.parametrize("point", [ClosedLoop(3), ConstantRate(40.0)])
def test_two_processes_number_their_requests_apart_and_tell_them_in_order(
    point: LoadPoint,
) -> None:
    records = met(point).records[point]
    numbers = [int(record.request_id.rpartition("-")[2]) for record in records]
    assert len(numbers) == len(set(numbers))
    assert {number % 2 for number in numbers} == {0, 1}
    assert [r.end_s for r in records] == sorted(r.end_s for r in records)
    assert {record.error for record in records} == {None}


def test_two_processes_keep_one_schedule() -> None:
    point = ConstantRate(40.0)
    records = [record for record in met(point).records[point] if record.counted]
    due = sorted(record.scheduled_s for record in records)
    assert len(due) >= 35
    gaps = [after - before for before, after in pairwise(due)]
    assert gaps == pytest.approx([1 / 40] * len(gaps))
    assert min(record.send_lag_s for record in records) >= 0


def kill_a_worker() -> None:
    """Wait until a master of two is there, let it begin, and kill one of the two."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            workers = [it for it in process.children() if "locustfile" in " ".join(it.cmdline())]
            if len(workers) == 2:
                time.sleep(3)
                return workers[0].kill()
        time.sleep(0.1)
    return None


def test_a_process_that_is_lost_ends_the_load_test_with_a_reason() -> None:
    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    with pytest.raises(LoadTestError, match="1 of 2 processes of the load generator"):
        met(ClosedLoop(2), duration_s=30)
    killer.join()


def test_the_busiest_process_decides_and_processor_time_adds_up() -> None:
    one = ClientHealth(cpu_share_p95=0.2, loop_lag_p95_s=0.003, cpu_s=1.5)
    two = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.004, cpu_s=0.5)
    assert ClientHealth.of_all([one, two]) == ClientHealth(
        cpu_share_p95=0.2, loop_lag_p95_s=0.004, cpu_s=2.0
    )


@pytest.mark.parametrize(("step", "processes"), [("_leave", 1), ("_read", 1), ("_read", 2)])
def test_a_step_that_fails_ends_the_load_test_and_nobody_waits_for_it(
    step: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, ours = locust_process.locust_words, str(ROOT / "loadtest" / "locustfile.py")
    failing = str(ROOT / "tests" / "loadtest" / "failing_locustfile.py")
    monkeypatch.setattr(
        locust_process,
        "locust_words",
        lambda *given: tuple(failing if word == ours else word for word in words(*given)),
    )
    monkeypatch.setenv("ASSAY_TEST_FAILS", step)
    with pytest.raises(LoadTestError, match="Locust ended early"):
        met(ClosedLoop(2), duration_s=0.3, processes=processes)
