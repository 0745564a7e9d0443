"""Where the Ray of a deployment keeps its files: a short path, with room, that is ours alone.

Ray's processes find each other by sockets in this folder, and the kernel takes no longer path for
one than 107 bytes (unix(7)). The user's temporary folder comes first; where it does not do, one of
the system's takes its place, and that is said.
"""

import os
import re
import shutil
import tempfile

from deploy.service import DeployError

PREFIX = "assay-"
_LONGEST_SOCKET = 107
# What mkdtemp adds, and Ray below it (ray/_private/node.py).
_SESSION = "session_2026-01-01_00-00-00_123456_1234567"
_BELOW = len(f"/{PREFIX}12345678/{_SESSION}/sockets/plasma_store.1")
LONGEST = _LONGEST_SOCKET - _BELOW
# Ray writes logs here, and its object store where /dev/shm is too small for that.
LEAST_FREE_BYTES = 256 * 2**20
_SYSTEM = ("/tmp", "/var/tmp", "/dev/shm")
# Ray hands paths on in command lines that it takes apart again.
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


def make_ray_folder() -> str:
    """Make the folder; says so where it is not in the user's temporary folder.

    Raises:
        DeployError: neither that nor one of the system's will do.
    """
    wanted = os.path.abspath(tempfile.gettempdir())
    reasons: dict[str, str] = {}
    for place in dict.fromkeys((wanted, *_SYSTEM)):
        if (reason := unfit(place)) is not None:
            reasons[place] = reason
            continue
        if reasons:
            print(f"host: Ray's files go below {place}: {wanted} {reasons[wanted]}", flush=True)
        return tempfile.mkdtemp(prefix=PREFIX, dir=place)
    told = "; ".join(f"{place} {reason}" for place, reason in reasons.items())
    raise DeployError(f"Ray finds no folder for its files: {told}; set TMPDIR to one that will do")


def unfit(place: str) -> str | None:
    """Why Ray's files cannot be kept below a folder; None: they can."""
    if not _PLAIN.fullmatch(place):
        return "has characters that Ray's command lines do not carry"
    if len(place) > LONGEST:
        return f"is longer than the {LONGEST} characters that leave room for a socket's path"
    if not os.access(place, os.W_OK | os.X_OK):
        return "cannot be written"
    if (free := shutil.disk_usage(place).free) < LEAST_FREE_BYTES:
        return f"has {free >> 20} MiB free where {LEAST_FREE_BYTES >> 20} are needed"
    return None
