"""Parts of a source distribution that its wheel leaves out, kept in an environment's ``share/``."""

import tarfile
from dataclasses import dataclass
from pathlib import Path


class SdistError(ValueError):
    """The distribution does not hold what is looked for."""


@dataclass(frozen=True, kw_only=True)
class SdistPart:
    """Files below ``root`` (seen from the sdist's own folder) whose paths begin with ``starts``.

    ``main`` must be among them; ``folder`` is their place under the environment's ``share/``.
    """

    folder: str
    root: str
    starts: tuple[str, ...]
    main: str


# llama.cpp's converter and the gguf package it needs, which is newer than PyPI's.
CONVERTER = SdistPart(
    folder="llama.cpp-convert",
    root="vendor/llama.cpp/",
    starts=("convert_hf_to_gguf.py", "conversion/", "gguf-py/"),
    main="convert_hf_to_gguf.py",
)
# The batching server that llama-cpp-python shows as an example.
EXAMPLE_SERVER = SdistPart(
    folder="llama-cpp-python-server",
    root="examples/server/",
    starts=("server.py",),
    main="server.py",
)


def main_file(home: Path, part: SdistPart) -> Path:
    """Where a part's main file lies in the environment ``home``."""
    return home / "share" / part.folder / part.main


def extract_part(archive: Path, part: SdistPart, home: Path) -> None:
    """Extract a part of an sdist (``.tar.gz``) into the environment ``home``.

    Raises:
        SdistError: the main file is not in the archive.
    """
    with tarfile.open(archive) as sdist:
        for member in sdist.getmembers():
            _, _, path = member.name.partition("/")
            inside = path.removeprefix(part.root)
            if path.startswith(part.root) and inside.startswith(part.starts):
                member.name = inside
                sdist.extract(member, home / "share" / part.folder, filter="data")
    if not main_file(home, part).is_file():
        raise SdistError(f"its source distribution holds no {part.root}{part.main}")
