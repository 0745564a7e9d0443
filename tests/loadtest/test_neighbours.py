import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from deploy.plan import Serving
from loadtest.neighbours import Look, NeighbourWatch, neighbour_share, watch_service

SPIN = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
# Processor seconds that must show, however few the others leave of a second.
SHOWS = 0.2


@contextmanager
def spinning() -> Iterator[int]:
    """A process that keeps a core busy, or what others leave of one."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def wait_until_it_shows(pid: int) -> None:
    """Until the process has used more than ``SHOWS`` from now on."""
    process = psutil.Process(pid)
    enough_s = process.cpu_times().user + SHOWS + 0.05
    while process.cpu_times().user < enough_s:
        time.sleep(0.05)


def test_the_share_is_of_all_cores_and_leaves_our_own_out() -> None:
    before = Look(at_s=10, busy_s=100, own_s=50)
    after = Look(at_s=12, busy_s=103, own_s=52)
    assert neighbour_share(before, after, 2) == pytest.approx(1 / 4)
    assert neighbour_share(before, after, 4) == pytest.approx(1 / 8)


def test_what_rounding_makes_less_than_nothing_is_nothing() -> None:
    before = Look(at_s=10, busy_s=100, own_s=50)
    assert neighbour_share(before, Look(at_s=11, busy_s=101, own_s=51.02), 2) == 0
    assert neighbour_share(before, before, 2) == 0


def test_what_we_started_is_our_own() -> None:
    watch = NeighbourWatch(lambda _: False)
    before = watch.look()
    with spinning() as pid:
        wait_until_it_shows(pid)
        after = watch.look()
    assert SHOWS < after.own_s - before.own_s <= after.busy_s - before.busy_s + 0.1


def test_a_process_that_ended_in_between_is_still_our_own() -> None:
    watch = NeighbourWatch(lambda _: False)
    before = watch.look()
    with spinning() as pid:
        wait_until_it_shows(pid)
    assert watch.look().own_s - before.own_s > SHOWS


def test_a_service_is_our_own_with_its_children_and_others_are_not() -> None:
    """Told by another process's eyes: to it, both of ours are strangers."""
    look = (
        "import psutil, sys\n"
        "from loadtest.neighbours import NeighbourWatch\n"
        "from tests.loadtest.test_neighbours import wait_until_it_shows\n"
        "watch = NeighbourWatch(lambda it: it.pid == int(sys.argv[1]))\n"
        "before = watch.look(); wait_until_it_shows(int(sys.argv[2])); after = watch.look()\n"
        "print(after.own_s - before.own_s)\n"
    )

    def seen_of(owner: int, busy: int) -> float:
        words = [sys.executable, "-c", look, str(owner), str(busy)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return float(done.stdout)

    with spinning() as pid:
        assert seen_of(pid, pid) > SHOWS
        assert seen_of(os.getpid(), pid) > SHOWS
        assert seen_of(-1, pid) < SHOWS


def test_the_owner_is_asked_once_per_process() -> None:
    asked: list[int] = []

    def owns(process: psutil.Process) -> bool:
        asked.append(process.pid)
        return False

    watch = NeighbourWatch(owns)
    watch.look()
    first = len(asked)
    watch.look()
    assert first > 0
    assert asked.count(asked[0]) == 1


def test_a_service_that_this_checkout_did_not_start_is_not_watched() -> None:
    assert watch_service(Serving(port=1)) is None
