"""A disk that is full soon: a small file system in memory, or where that is not allowed a limit.

Mounting needs the right to (root with CAP_SYS_ADMIN). Without it every file a command writes is
limited instead (RLIMIT_FSIZE): the write fails with another error number (EFBIG), in the same
places.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LIMITED = (
    "import os, resource, sys; size = int(sys.argv[1]); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); os.execvp(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True, kw_only=True)
class SmallDisk:
    """A folder with room for ``size_bytes``; ``mounted`` False: each file is limited to as much."""

    folder: Path
    size_bytes: int
    mounted: bool

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` within the limit."""
        if self.mounted:
            return list(command)
        return [sys.executable, "-c", _LIMITED, str(self.size_bytes), *command]

    @property
    def kind(self) -> str:
        """What stands for the full disk, in words."""
        kibibytes = f"{self.size_bytes // 1024:,} KiB"
        return f"file system of {kibibytes}" if self.mounted else f"{kibibytes} a file"


def _mount(*arguments: str) -> bool:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Give a folder (made when missing) a disk of so many bytes, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "assay-small-disk", str(folder))
    try:
        yield SmallDisk(folder=folder, size_bytes=size_bytes, mounted=mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
