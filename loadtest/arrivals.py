"""When bytes came to this machine, as its kernel says, and not when this process came to read them.

A load generator that is busy with one stream reads the others late, and would charge the server
with it. Linux stamps what arrives (``SO_TIMESTAMPING``, for TCP since 4.14) and hands the stamp out
with the bytes: that of the last one read. Where there is no stamp, the time of reading counts.
"""

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Sequence

# asm-generic/socket.h and linux/net_tstamp.h: stamp in software what is received.
_SO_TIMESTAMPING = 37
_RX_SOFTWARE, _SOFTWARE = 1 << 3, 1 << 4
_STAMP = struct.Struct("qq")  # a timespec: seconds, nanoseconds
# struct scm_timestamping is three of them.
STAMP_SPACE = socket.CMSG_SPACE(3 * _STAMP.size)
_NANOSECONDS = 1_000_000_000
# What lay unread for longer was not late: the wall clock was set meanwhile.
LONGEST_S = 10.0

Ancillary = Sequence[tuple[int, int, bytes]]


def stamp_arrivals(connection: socket.socket) -> bool:
    """Have the kernel stamp what a TCP connection receives; False where it does not know how."""
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
        return True
    return False


def age_s(ancillary: Ancillary, wall_ns: int) -> float:
    """How long ago what was read had come, in seconds; ``wall_ns`` is the time of reading.

    The kernel stamps by the wall clock. Only ages are taken of it, so a clock that is set costs
    what is read in that moment and nothing else. Without a stamp it came just now.
    """
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            seconds, nanoseconds = _STAMP.unpack_from(content)
            age = (wall_ns - seconds * _NANOSECONDS - nanoseconds) / _NANOSECONDS
            return age if 0 <= age <= LONGEST_S and seconds else 0.0
    return 0.0


def arrival_s(ancillary: Ancillary) -> float:
    """When what was just read had come, on the monotonic clock."""
    return time.monotonic() - age_s(ancillary, time.time_ns())
