"""The kernel says when bytes came, however late they are read."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from loadtest.arrivals import LONGEST_S, STAMP_SPACE, age_s, arrival_s, stamp_arrivals

STAMPING = (socket.SOL_SOCKET, 37)
NOW_NS = 1_700_000_000_000_000_000


def stamp(age: float) -> bytes:
    at_ns = NOW_NS - round(age * 1e9)
    return struct.pack("qqqqqq", at_ns // 10**9, at_ns % 10**9, 0, 0, 0, 0)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            yield near, far


def test_an_age_is_the_time_since_the_stamp() -> None:
    assert age_s([(*STAMPING, stamp(0.25))], NOW_NS) == pytest.approx(0.25)


def test_without_a_stamp_it_came_just_now() -> None:
    assert age_s([], NOW_NS) == 0
    assert age_s([(socket.SOL_SOCKET, 1, stamp(0.25))], NOW_NS) == 0
    assert age_s([(*STAMPING, bytes(48))], NOW_NS) == 0


@pytest.mark.parametrize("age", [-0.001, LONGEST_S + 1])
def test_a_wall_clock_that_was_set_meanwhile_is_not_believed(age: float) -> None:
    assert age_s([(*STAMPING, stamp(age))], NOW_NS) == 0


def test_what_is_read_late_came_when_it_came(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    if not stamp_arrivals(near):
        pytest.skip("no kernel that stamps")
    far.sendall(b"first")  # the kernel begins to stamp a moment after it is asked to
    time.sleep(0.1)
    near.recv(10)
    sent_s = time.monotonic()
    far.sendall(b"second")
    done_s = time.monotonic()
    time.sleep(0.2)
    piece, ancillary, _, _ = near.recvmsg(10, STAMP_SPACE)
    assert piece == b"second"
    assert sent_s - 0.001 <= arrival_s(ancillary) <= done_s + 0.1
