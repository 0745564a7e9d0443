"""Files that are there whole or not at all: written under another name, flushed, then renamed.

Standard library only. Whole folders are made by ``workbench.py``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file; its existence means that it is whole (text is UTF-8).

    Raises:
        OSError: it cannot be written; nothing unfinished is left.
    """
    with writing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes that place at the end of the block.

    After an error nothing is left of it, and what was at ``path`` stays.
    """
    temporary = path.with_name(f"{path.name}.partial")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file to the disk, before a rename says that it is complete."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
