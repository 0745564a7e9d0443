"""Make a directory whole or not at all, even when killed, out of room, or run twice at once.

One lock per directory, held by an open file: the kernel releases it when the process that makes
the artifact and every tool it started are gone. Whoever holds the lock may remove leftovers.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.lock import locked_file
from quantize.jobs.whole_file import flush

_PARTIAL = ".partial"
_SCRATCH = ".scratch"
_REPLACED = ".replaced"


@dataclass(frozen=True)
class Workbench:
    """``output`` becomes the artifact; ``scratch`` is thrown away."""

    output: Path
    scratch: Path


@contextmanager
def locked(directory: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the one right to make ``directory``; yields the lock's file descriptor.

    Blocks while another process holds it, after calling ``on_wait`` once. Leftovers of a killed
    run are removed.

    Raises:
        OSError: the parent directory cannot be written.
    """
    lock = directory.parent / ".locks" / f"{directory.name}.lock"
    with locked_file(lock, lambda _: on_wait()) as held:
        for suffix in (_PARTIAL, _SCRATCH, _REPLACED):
            _remove(_beside(directory, suffix))
        yield held


@contextmanager
def making(directory: Path) -> Iterator[Workbench]:
    """Yield a workbench whose output is renamed to ``directory`` at the end of the block.

    What was at ``directory`` is replaced. On any error nothing unfinished is left. To be called
    with the directory's lock held.

    Raises:
        OSError: as in the block; when the disk is full, named with its path.
    """
    partial = _beside(directory, _PARTIAL)
    scratch = _beside(directory, _SCRATCH)
    try:
        partial.mkdir()
        scratch.mkdir()
        yield Workbench(partial, scratch)
        _flush(partial)
        replaced = _beside(directory, _REPLACED)
        if directory.exists():
            directory.rename(replaced)
        partial.rename(directory)
        _remove(replaced)
    finally:
        _remove(partial)
        _remove(scratch)


def explain_os_error(error: OSError, directory: Path) -> str:
    """One line for a user: what failed, where, and how much room there is."""
    # A failed copy names its source first; what could not be written comes second.
    where = error.filename2 or error.filename or directory
    if error.errno == errno.ENOSPC:
        return f"the disk is full at {where}; nothing unfinished was kept; make room and repeat"
    return f"{where}: {error.strerror or error}"


def _beside(directory: Path, suffix: str) -> Path:
    return directory.parent / f".{directory.name}{suffix}"


def _flush(partial: Path) -> None:
    """Bring every file to the disk before the rename says that they are complete."""
    for path in partial.rglob("*"):
        if path.is_file():
            flush(path)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
