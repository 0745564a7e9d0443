"""Wheels and programs that are compiled here, kept: a changed lock does not compile them again.

uv's own cache forgets a compiled wheel when the index does not say how long its files stay valid
(mirrors often do not): the source is fetched anew, which counts as another source. It also takes no
notice of ``CMAKE_ARGS``, and would give a CPU build to a machine that has a GPU by now.
"""

import hashlib
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.setup import llama_programs
from deploy.setup.llama_programs import LISTS, PROGRAMS
from deploy.setup.steps import Steps
from quantize.root import VENVS

WHEELS = VENVS / "wheels"
# The variables that decide what a compiler makes.
_DECIDING = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CUDACXX", "CUDAHOSTCXX", "CMAKE_ARGS")


def wheel_key(requirement: str, variables: Mapping[str, str]) -> str:
    """Sixteen hex digits of what a compiled wheel depends on: source, settings, Python, machine."""
    settings = {name: variables[name] for name in _DECIDING if name in variables}
    made_by = [requirement, settings, sys.version_info[:2], platform.machine()]
    return hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]


def system_compilers() -> dict[str, str]:
    """The distribution's own compilers, also where another one comes first on the PATH.

    What another g++ compiles brings that one's C++ library into a Python that has loaded the
    system's, and llama.cpp then crashes as it loads a model.
    """
    found = {"CC": "/usr/bin/cc", "CXX": "/usr/bin/c++", "CUDAHOSTCXX": "/usr/bin/c++"}
    return {name: path for name, path in found.items() if Path(path).exists()}


class SourceBuilds:
    """Fetches pinned source distributions and compiles them, each once."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def sdist(self, requirement: str, log: Path) -> Path:
        """The source distribution of ``name==version``; blocks while it is downloaded.

        Raises:
            SetupError: it cannot be had.
        """
        return self._kept(
            WHEELS / "sdists" / requirement,
            "*.tar.gz",
            lambda folder: [
                *(sys.executable, "-m", "pip", "download", "--no-deps"),
                *("--no-binary", requirement.partition("==")[0]),
                *("-d", str(folder), requirement),
            ],
            log,
            self.steps.environment,
        )

    def wheel(self, requirement: str, variables: Mapping[str, str], log: Path) -> Path:
        """The wheel of ``name==version`` compiled with these variables; blocks for minutes.

        Raises:
            SetupError: it cannot be had or compiled.
        """
        variables = system_compilers() | dict(variables)
        home = WHEELS / wheel_key(requirement, variables)
        if found := sorted(home.glob("*.whl")):
            return found[0]
        source = self.sdist(requirement, log)
        build = [self.steps.uv, "build", "--wheel", *self.steps.uv_words]
        build += ["--python", sys.executable, str(source)]
        return self._kept(home, "*.whl", lambda folder: [*build, "-o", str(folder)], log, variables)

    def programs(
        self, requirement: str, libraries: Path, variables: Mapping[str, str], log: Path
    ) -> Path:
        """The folder of llama.cpp's programs, compiled from ``name==version``; blocks for minutes.

        They are linked upon the compiled library in ``libraries``, which must stay there.

        Raises:
            SetupError: the sources cannot be had or compiled.
        """
        variables = system_compilers() | dict(variables)
        key = wheel_key(f"{requirement} {LISTS.read_text()} {libraries.resolve()}", variables)
        source = self.sdist(requirement, log)
        build = [sys.executable, llama_programs.__file__, str(source), str(libraries)]
        return self._kept(
            WHEELS / key, PROGRAMS[0], lambda folder: [*build, str(folder)], log, variables
        ).parent

    def _kept(
        self,
        home: Path,
        pattern: str,
        command: Callable[[Path], list[str]],
        log: Path,
        variables: Mapping[str, str],
    ) -> Path:
        """The one file of a folder that a command fills, once; unfinished, nothing is kept."""
        if not (found := sorted(home.glob(pattern))):
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home.parent) as folder:
                self.steps.run(command(Path(folder)), log, variables)
                shutil.rmtree(home, ignore_errors=True)
                Path(folder).rename(home)
                Path(folder).mkdir()
            found = sorted(home.glob(pattern))
        return found[0]
