"""Parts that are kept of a source distribution."""

import io
import tarfile
from pathlib import Path

import pytest

from deploy.setup.sdist import EXAMPLE_SERVER, SdistError, extract_part, main_file, slim


def sdist(folder: Path, *names: str) -> Path:
    path = folder / "thing-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"thing-1.0/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


def test_only_the_part_is_kept_and_lies_in_its_folder(tmp_path: Path) -> None:
    names = ("examples/server/server.py", "examples/other.py", "vendor/examples/server/server.py")
    extract_part(sdist(tmp_path, *names), EXAMPLE_SERVER, tmp_path / "home")
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert kept == [main_file(tmp_path / "home", EXAMPLE_SERVER)]
    assert kept[0].read_text() == "examples/server/server.py"


def test_a_distribution_without_the_part_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SdistError, match=r"examples/server/server\.py"):
        extract_part(sdist(tmp_path, "README.md"), EXAMPLE_SERVER, tmp_path / "home")


def test_an_sdist_travels_without_what_no_build_looks_at(tmp_path: Path) -> None:
    kept = ["pyproject.toml", "vendor/llama.cpp/ggml/src/ggml.c", "vendor/llama.cpp/gguf-py/x.py"]
    dropped = [".git/modules/x", "vendor/llama.cpp/docs/ops/a", "vendor/llama.cpp/models/b.gguf"]
    slim(sdist(tmp_path, *kept, *dropped), tmp_path / "slim.tar.gz")
    with tarfile.open(tmp_path / "slim.tar.gz") as archive:
        assert archive.getnames() == [f"thing-1.0/{name}" for name in kept]
        assert archive.extractfile(f"thing-1.0/{kept[0]}").read() == kept[0].encode()  # type: ignore[union-attr]
