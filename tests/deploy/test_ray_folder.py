"""Ray's files go where its sockets' paths fit and there is room; if not as asked, it is said."""

import os
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

import deploy.ray_folder as module
from deploy.ray_folder import LEAST_FREE_BYTES, LONGEST, make_ray_folder, unfit
from deploy.service import DeployError

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's temporary folder, with a long path."""
    folder = tmp_path / "a.folder.with.a.name.that.leaves.no.room.for.a.socket"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_the_users_temporary_folder_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="a-", dir="/tmp") as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        assert Path(make_ray_folder()).parent == Path(place)
    assert capsys.readouterr().out == ""


def test_a_socket_of_ray_fits_below_the_longest_folder_that_is_taken() -> None:
    deepest = "session_2026-11-27_16-07-33_123456_1234567/sockets/plasma_store"
    assert len("/" * LONGEST + "/assay-abcdefgh/" + deepest) <= 107


def test_a_long_temporary_folder_is_passed_over_and_that_is_said(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(make_ray_folder())
    folder.rmdir()
    assert len(str(folder.parent)) <= LONGEST
    assert f"{temporary} is longer than the {LONGEST} characters" in capsys.readouterr().out
    assert list(temporary.iterdir()) == []


def test_a_full_temporary_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    little = Usage(0, 0, LEAST_FREE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: little)
    assert unfit("/tmp") == "has 255 MiB free where 256 are needed"


@pytest.mark.parametrize("place", ["/tmp/my files", "/tmp/[a]", "/tmp/ä", "/tmp/a'b"])
def test_a_path_that_rays_command_lines_do_not_carry_is_passed_over(place: str) -> None:
    assert "characters" in str(unfit(place))


def test_a_folder_that_is_not_there_is_passed_over() -> None:
    assert unfit("/nonexistent") == "cannot be written"


def test_where_nothing_fits_all_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(module, "_SYSTEM", ("/nonexistent",))
    with pytest.raises(DeployError) as refused:
        make_ray_folder()
    told = str(refused.value)
    assert str(temporary) in told
    assert "/nonexistent cannot be written; set TMPDIR" in told
    assert "\n" not in told
    assert os.listdir(temporary) == []
