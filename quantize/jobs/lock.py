"""One user of a place at a time: locks on open files, which the kernel gives back.

A lock belongs to the open file (flock(2)) and ends when the last process that has it open is
gone: a file left behind by a killed one locks nobody out, and a tool that got the descriptor keeps
the lock until it is gone as well. Standard library only.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = ".lock"


class BusyError(ValueError):
    """Another process holds the directory; the message names it."""


@contextmanager
def locked_file(path: Path, on_busy: Callable[[str], None], holder: str = "") -> Iterator[int]:
    """Hold a file's lock until the block ends; yields its descriptor, which no child inherits.

    ``holder`` tells others whose it is (empty: nothing is written). Where another process has it,
    ``on_busy`` is called once with what that one told, and unless it raises, this blocks until the
    lock is free.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            on_busy(stream.read().strip() or "another process")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(f"{holder} (process {os.getpid()})" if holder else "")
        stream.flush()
        yield stream.fileno()
        stream.truncate(0)


@contextmanager
def hold(directory: Path, command: str) -> Iterator[None]:
    """Hold a directory (made when missing) until the block ends; ``command`` tells others whose.

    Raises:
        BusyError: another process holds it.
    """

    def refuse(holder: str) -> None:
        raise BusyError(f"{directory} is in use by {holder}; wait until it is done, or stop it")

    with locked_file(directory / LOCK_NAME, refuse, command):
        yield
