"""One user of a directory at a time: a lock that ends with its holder, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = ".lock"


class BusyError(ValueError):
    """Another process holds the directory; the message names it."""


@contextmanager
def hold(directory: Path, command: str) -> Iterator[None]:
    """Hold a directory (made when missing) until the block ends; ``command`` tells others whose.

    The lock belongs to the open file (flock(2)), which no child inherits, so it cannot outlive
    this process and a file left behind by a killed one locks nobody out.

    Raises:
        BusyError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK_NAME).open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise BusyError(
                f"{directory} is in use by {holder}; wait until it is done, or stop it"
            ) from None
        stream.truncate(0)
        stream.write(f"{command} (process {os.getpid()})")
        stream.flush()
        yield
        stream.truncate(0)
