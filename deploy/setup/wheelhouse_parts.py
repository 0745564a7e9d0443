"""How a wheelhouse lies on its medium: folders of a chosen size, checksums, a list of what it is.

``wheelhouse.json`` is written last and says which machine it is for. ``SHA256SUMS`` is what
``sha256sum -c`` takes. A file that is larger than a folder may be is cut, and joined when it is
opened.
"""

import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.setup.environments import SetupError
from quantize.jobs.whole_file import write_whole

RECORD = "wheelhouse.json"
SUMS = "SHA256SUMS"
LOCKS = "locks"
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Target:
    """The machine that a wheelhouse is for: ``3.12``, ``x86_64``, a build, for environments.

    ``system``: what is relied on of a Python that holds a torch, by version.
    """

    python: str
    processor: str
    build: str
    environments: tuple[str, ...]
    system: Mapping[str, str] | None = None

    def mismatch(self, build: str, packages: Mapping[str, str] | None) -> str | None:
        """Why this machine cannot use it; None: it can."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        if (self.python, self.processor) != (python, platform.machine()):
            return (
                f"it is for Python {self.python} on {self.processor}, this is Python {python} on "
                f"{platform.machine()}"
            )
        if self.build != build:
            return f"it holds {self.build} builds, this machine takes {build} (--build decides)"
        if self.system is not None:
            here = packages or {}
            other = sorted(name for name in self.system if here.get(name) != self.system[name])
            if other:
                told = ", ".join(f"{name} {self.system[name]}" for name in other[:5])
                return f"it is for a Python that has {told}; make it anew from this one's pip list"
        return None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a file: where it lies, and which bytes of the file it holds."""

    path: str
    name: str
    offset: int
    size: int


def arrange(sizes: Mapping[str, int], part_bytes: int | None) -> list[Piece]:
    """Lay files into folders of at most ``part_bytes``, in order; None: all in one, uncut."""
    if part_bytes is None:
        return [Piece(path=n, name=n, offset=0, size=size) for n, size in sizes.items()]
    pieces, part, room = [], 1, part_bytes
    for name, size in sizes.items():
        for index, offset in enumerate(range(0, max(size, 1), part_bytes)):
            length = min(part_bytes, size - offset)
            if length > room:
                part, room = part + 1, part_bytes
            cut = f".{index:03}" if size > part_bytes else ""
            path = f"part-{part:03}/{name}{cut}"
            pieces.append(Piece(path=path, name=name, offset=offset, size=length))
            room -= length
    return pieces


def sha256_of(path: Path, offset: int = 0, size: int | None = None) -> str:
    """The checksum of a file, or of some bytes of it."""
    digest, left = hashlib.sha256(), path.stat().st_size - offset if size is None else size
    with path.open("rb") as stream:
        stream.seek(offset)
        while left > 0 and (block := stream.read(min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def write_parts(source: Path, output: Path, target: Target, part_bytes: int | None) -> list[Piece]:
    """Lay the files of ``source`` and its ``locks/`` into ``output``; what was there is replaced.

    Raises:
        OSError: the medium is full, or cannot be written.
    """
    clear(output)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source / LOCKS, output / LOCKS)
    files = {path.name: path for path in sorted(source.iterdir()) if path.is_file()}
    pieces = arrange({name: path.stat().st_size for name, path in files.items()}, part_bytes)
    sums = {f"{LOCKS}/{path.name}": sha256_of(path) for path in sorted((output / LOCKS).iterdir())}
    for piece in pieces:
        path = output / piece.path
        path.parent.mkdir(exist_ok=True)
        _copy(files[piece.name], path, piece)
        sums[piece.path] = sha256_of(path)
    (output / SUMS).write_text("".join(f"{digest}  {path}\n" for path, digest in sums.items()))
    content = {"target": asdict(target), "pieces": [asdict(piece) for piece in pieces]}
    write_whole(output / RECORD, json.dumps(content, indent=1))
    return pieces


def clear(output: Path) -> None:
    """Remove an older wheelhouse, and nothing else.

    Raises:
        SetupError: the folder holds something that is not one.
    """
    if output.is_dir() and any(output.iterdir()):
        if not (output / SUMS).is_file():
            raise SetupError(f"{output} is not empty and no wheelhouse; name another folder")
        shutil.rmtree(output)


def _copy(source: Path, target: Path, piece: Piece) -> None:
    left = piece.size
    with source.open("rb") as stream, target.open("wb") as copy:
        stream.seek(piece.offset)
        while left > 0 and (block := stream.read(min(_BLOCK, left))):
            copy.write(block)
            left -= len(block)


def read_target(folder: Path) -> Target | None:
    """Whom a wheelhouse is for; None: a plain folder of wheels that says nothing."""
    if not (folder / RECORD).is_file():
        return None
    told = json.loads((folder / RECORD).read_text())["target"]
    return Target(**(told | {"environments": tuple(told["environments"])}))


def open_parts(folder: Path, joined: Path) -> None:
    """Check every file of a wheelhouse, and make its wheels visible in the folder ``joined``.

    Raises:
        SetupError: files are missing or damaged; the message names them.
    """
    sums = {}
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, path = line.partition("  ")
        sums[path] = digest
    bad = [path for path in sums if _sum(folder / path) != sums[path]]
    if bad:
        raise SetupError(
            f"{folder}: missing or damaged: {', '.join(bad[:5])}"
            f"{f' and {len(bad) - 5} more' if len(bad) > 5 else ''}; copy them again"
        )
    shutil.rmtree(joined, ignore_errors=True)
    joined.mkdir(parents=True)
    record = json.loads((folder / RECORD).read_text())
    _join(folder, joined, [Piece(**piece) for piece in record["pieces"]])


def _join(folder: Path, joined: Path, pieces: Sequence[Piece]) -> None:
    """Whole files are linked, cut ones are put together."""
    for piece in pieces:
        path, target = folder / piece.path, joined / piece.name
        if Path(piece.path).name == piece.name:
            target.symlink_to(path)
        else:
            with target.open("ab") as stream, path.open("rb") as part:
                shutil.copyfileobj(part, stream, _BLOCK)


def _sum(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
