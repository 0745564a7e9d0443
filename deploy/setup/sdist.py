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


# What no build looks at, and most of llama-cpp-python's source distribution: its makers' git
# objects, llama.cpp's pages and its sample vocabularies.
LEFT_OUT = (".git/", *(f"vendor/llama.cpp/{name}/" for name in ("docs", "models", "media")))


def slim(archive: Path, output: Path) -> None:
    """Copy an sdist (``.tar.gz``) without what no build looks at."""
    with tarfile.open(archive) as source, tarfile.open(output, "w:gz") as copy:
        for member in source.getmembers():
            _, _, path = member.name.partition("/")
            if not path.startswith(LEFT_OUT):
                copy.addfile(member, source.extractfile(member) if member.isfile() else None)


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
