"""A wheelhouse is laid into folders of a chosen size, checked, and put together again."""

import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.setup.environments import SetupError
from deploy.setup.wheelhouse_parts import (
    LOCKS,
    RECORD,
    Target,
    arrange,
    open_parts,
    read_target,
    write_parts,
)

TARGET = Target(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    processor=platform.machine(),
    build="cpu",
    environments=("control",),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / LOCKS).mkdir(parents=True)
    (folder / LOCKS / "control.txt").write_text("a==1\n")
    for name, size in {"a.whl": 10, "b.whl": 250, "c.whl": 95, "empty.whl": 0}.items():
        (folder / name).write_bytes(bytes(range(size)))
    return folder


def test_no_folder_is_larger_than_asked_and_no_byte_is_lost() -> None:
    sizes = {"a": 10, "b": 250, "c": 95, "d": 5, "e": 0, "f": 100}
    pieces = arrange(sizes, 100)
    parts: dict[Path, int] = {}
    for piece in pieces:
        folder = Path(piece.path).parent
        parts[folder] = parts.get(folder, 0) + piece.size
    assert max(parts.values()) <= 100
    for name, size in sizes.items():
        assert sum(piece.size for piece in pieces if piece.name == name) == size
    whole = [piece for piece in pieces if piece.name == "c"]
    assert len(whole) == 1
    assert [p.path for p in arrange(sizes, None)] == list(sizes)


@pytest.mark.parametrize("part_bytes", [None, 100, 7])
def test_what_was_laid_out_comes_back_byte_for_byte(
    source: Path, tmp_path: Path, part_bytes: int | None
) -> None:
    medium, joined = tmp_path / "medium", tmp_path / "joined"
    write_parts(source, medium, TARGET, part_bytes)
    assert read_target(medium) == TARGET
    check = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=medium)
    assert check.returncode == 0
    open_parts(medium, joined)
    for path in source.glob("*.whl"):
        assert (joined / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_or_missing_file_is_named(source: Path, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    write_parts(source, medium, TARGET, 100)
    (medium / "part-002" / "b.whl.000").write_bytes(b"x")
    (medium / "part-001" / "a.whl").unlink()
    with pytest.raises(SetupError, match=r"damaged: part-001/a\.whl, part-002/b\.whl\.000;"):
        open_parts(medium, tmp_path / "joined")


def test_only_a_wheelhouse_is_replaced(source: Path, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    write_parts(source, medium, TARGET, 100)
    write_parts(source, medium, TARGET, None)
    assert not (medium / "part-001").exists()
    assert (medium / RECORD).is_file()
    home = tmp_path / "home"
    home.mkdir()
    (home / "diary.txt").write_text("dear")
    with pytest.raises(SetupError, match="no wheelhouse"):
        write_parts(source, home, TARGET, None)
    assert (home / "diary.txt").is_file()
    assert read_target(home) is None


def test_a_machine_that_it_is_not_for_is_told_why() -> None:
    assert TARGET.mismatch("cpu", None) is None
    assert "is for Python 3.9" in str(replace(TARGET, python="3.9").mismatch("cpu", None))
    assert "holds cpu builds, this machine takes cuda13" in str(TARGET.mismatch("cuda13", None))
    system = replace(TARGET, build="system-torch", system={"torch": "2.11.0", "numpy": "2.5.2"})
    assert system.mismatch("system-torch", {"torch": "2.11.0", "numpy": "2.5.2", "x": "1"}) is None
    assert "numpy 2.5.2" in str(system.mismatch("system-torch", {"torch": "2.11.0"}))
