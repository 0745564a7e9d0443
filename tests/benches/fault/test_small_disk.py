"""A disk that is full soon, whatever rights there are."""

import subprocess
import sys
from pathlib import Path

from tests.benches.fault.small_disk import SmallDisk, small_disk

WRITE = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(bytes(1 << 20))"


def refused(disk: SmallDisk) -> bool:
    command = disk.command([sys.executable, "-c", WRITE, str(disk.folder / "large")])
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_no_more_fits_on_it_than_it_has_room_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 64 * 1024) as disk:
        assert refused(disk)


def test_without_the_right_to_mount_every_file_is_limited(tmp_path: Path) -> None:
    disk = SmallDisk(folder=tmp_path, size_bytes=64 * 1024, mounted=False)
    assert refused(disk)
    assert (tmp_path / "large").stat().st_size <= 64 * 1024
