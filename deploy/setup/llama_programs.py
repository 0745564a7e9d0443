"""Compile upstream's ``llama-server`` and ``llama-bench`` out of llama-cpp-python's sources.

``python llama_programs.py SDIST LIBRARIES OUTPUT``: ``LIBRARIES`` is where that package keeps its
compiled library, upon which the programs are linked, and must stay. CMake and Ninja are on the
PATH. A step of set-up: standard library only.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = ("llama-server", "llama-bench")
LISTS = Path(__file__).with_suffix(".cmake")
_SOURCES = "vendor/llama.cpp/"


def main(words: Sequence[str]) -> int:
    """Returns the exit code: of the first command that fails, else 0."""
    archive, libraries, output = map(Path, words)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".llama-") as folder:
        source, build = Path(folder) / "source", Path(folder) / "build"
        _extract(archive, source)
        shutil.copyfile(LISTS, source / "CMakeLists.txt")
        for command in _commands(source, build, libraries.resolve()):
            if code := subprocess.run(command).returncode:
                return code
        for program in PROGRAMS:
            shutil.move(build / "bin" / program, output / program)
    return 0


def _commands(source: Path, build: Path, libraries: Path) -> list[list[str]]:
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(build)]
    configure += ["-DCMAKE_BUILD_TYPE=Release", f"-DLIBRARIES={libraries}"]
    configure += [f"-DGGML={';'.join(ggml_parts(libraries))}"]
    return [configure, ["cmake", "--build", str(build), "--target", *PROGRAMS]]


def ggml_parts(libraries: Path) -> list[str]:
    """The parts of ggml that were compiled: ``ggml``, ``ggml-base``, ``ggml-cpu``, …"""
    return sorted(path.stem.removeprefix("lib") for path in libraries.glob("libggml*.so"))


def _extract(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as sdist:
        for member in sdist:
            _, _, path = member.name.partition("/")
            if path.startswith(_SOURCES):
                member.name = path.removeprefix(_SOURCES)
                sdist.extract(member, target, filter="data")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
