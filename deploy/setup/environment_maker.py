"""Makes one environment from its pins, for the build that was chosen, and lets it prove itself."""

import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.setup.builds import Build
from deploy.setup.environments import (
    MARKER,
    Environment,
    SetupError,
    build_of,
    environment_hash,
    lock_of,
    settings_of,
)
from deploy.setup.llama_programs import PROGRAMS
from deploy.setup.pip_configuration import torch_backend, without_cpu_torch
from deploy.setup.proofs import PROOF, proofs_of, remedy_of
from deploy.setup.sdist import CONVERTER, EXAMPLE_SERVER, SdistError, SdistPart, extract_part
from deploy.setup.source_builds import SourceBuilds
from deploy.setup.steps import Steps
from deploy.setup.system_resolution import resolve_beside
from quantize.machine import VISIBLE
from quantize.root import ROOT, VENVS


class EnvironmentMaker:
    """Makes environments of one build; ``locks`` are pins that a wheelhouse brings for some."""

    def __init__(self, steps: Steps, build: Build, locks: Mapping[str, Path] | None = None) -> None:
        self.steps = steps
        self.build = build
        self.locks = locks or {}
        self.sources = SourceBuilds(steps)

    def make(self, environment: Environment) -> float:
        """Make one environment from nothing; returns the seconds it took.

        Raises:
            SetupError: a step failed, or what was installed cannot be loaded.
        """
        started = time.monotonic()
        home = VENVS / environment.name
        log = self.steps.logs / f"{environment.name}.log"
        log.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        self.steps.run([self.steps.uv, "venv", "--python", sys.executable, str(home)], log)
        self._install(environment, home, log)
        if self.build.system is not None and environment.torch:
            _see_behind(home, "system", self.build.system.folders)
        if environment.upon:
            _see_behind(home, "upon", [str(packages_of(VENVS / environment.upon))])
        if environment.converter:
            self._extract(environment.converter, CONVERTER, home)
        if environment.example_server:
            self._extract(environment.example_server, EXAMPLE_SERVER, home)
        if environment.programs:
            self._compile(environment, environment.programs, home, log)
        self._prove(environment, home, log)
        seconds = time.monotonic() - started
        content = {
            "hash": environment_hash(environment, self.build),
            "build": build_of(environment, self.build),
            "seconds": round(seconds, 1),
        }
        (home / MARKER).write_text(json.dumps(content))
        return seconds

    def _install(self, environment: Environment, home: Path, log: Path) -> None:
        variables = self.steps.environment | settings_of(environment, self.build)
        cpu = build_of(environment, self.build) == "cpu"
        if environment.torch and not cpu:
            variables = without_cpu_torch(variables)
        pip = [self.steps.uv, "pip", "install", *self.steps.uv_words]
        # Once, and not in every process of an engine: images that set PYTHONDONTWRITEBYTECODE keep
        # Python from doing it, and one of vLLM's then reads its sources for half a minute.
        pip += ["--compile-bytecode", "--python", str(home / "bin" / "python")]
        if environment.torch and cpu:
            pip += torch_backend(variables)
        if environment.build_first:
            self.steps.run([*pip, *environment.build_first], log, variables)
            variables["PATH"] = f"{home / 'bin'}:{variables['PATH']}"
        if environment.converter:
            told = variables | including(environment, variables)
            wheel = self.sources.wheel(environment.converter, told, log)
            self.steps.run([*pip, "--no-deps", str(wheel)], log, variables)
        isolation = [f"--no-build-isolation-package={n}" for n in environment.without_isolation]
        with tempfile.TemporaryDirectory(dir=VENVS) as folder:
            pins = self._pins(environment, Path(folder) / "pins.txt", log)
            self.steps.run([*pip, "--no-deps", *isolation, "-r", str(pins)], log, variables)
        if environment.editable:
            here = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
            self.steps.run([*pip, *here], log, variables)

    def _pins(self, environment: Environment, chosen: Path, log: Path) -> Path:
        """The file that names every version; ``chosen`` is written where none is kept."""
        kept = self.locks.get(environment.name) or lock_of(environment, self.build)
        if kept is not None:
            return kept
        assert self.build.system is not None
        resolve_beside(self.steps, self.build.system, environment.name, chosen, log)
        return chosen

    def _extract(self, requirement: str, part: SdistPart, home: Path) -> None:
        """Keep a part of a pinned sdist, which is downloaded for it."""
        archive = self.sources.sdist(requirement, self.steps.logs / f"{part.folder}.log")
        try:
            extract_part(archive, part, home)
        except SdistError as error:
            raise SetupError(f"{requirement}: {error}") from None

    def _compile(self, environment: Environment, requirement: str, home: Path, log: Path) -> None:
        """Add llama.cpp's programs, with the tools that the environment was given for it."""
        assert environment.upon
        print(f"  {environment.name}: {' and '.join(PROGRAMS)} are compiled, which takes minutes")
        libraries = packages_of(VENVS / environment.upon) / "llama_cpp" / "lib"
        path = f"{home / 'bin'}:{self.steps.environment['PATH']}"
        variables = self.steps.environment | {"PATH": path}
        folder = self.sources.programs(requirement, libraries, variables, log)
        for program in PROGRAMS:
            shutil.copy2(folder / program, home / "bin" / program)

    def _prove(self, environment: Environment, home: Path, log: Path) -> None:
        """Load every compiled extension that the environment will need."""
        words = proofs_of(environment, self.build)
        # All GPUs were found, also those that the user's shell hides.
        variables = {k: v for k, v in self.steps.environment.items() if k != VISIBLE}
        try:
            python = str(home / "bin" / "python")
            self.steps.run([python, "-P", str(PROOF), *words], log, variables)
        except SetupError as error:
            raise SetupError(
                f"the environment {environment.name!r} cannot load what it needs: "
                f"{remedy_of(str(error))}\n{error}"
            ) from None


def including(environment: Environment, variables: Mapping[str, str]) -> dict[str, str]:
    """The variable that has CMake read the environment's file; none where it has no such file."""
    if environment.cmake_include is None:
        return {}
    project, path = environment.cmake_include
    word = shlex.quote(f"-DCMAKE_PROJECT_{project}_INCLUDE={path}")
    return {"CMAKE_ARGS": f"{variables.get('CMAKE_ARGS', '')} {word}".strip()}


def packages_of(home: Path) -> Path:
    """Where an environment keeps its packages."""
    (packages,) = (home / "lib").glob("python3*/site-packages")
    return packages


def _see_behind(home: Path, name: str, folders: list[str] | tuple[str, ...]) -> None:
    """Let an environment import what other folders have and it has not.

    ``site`` reads the ``.pth`` files of those folders too, as their own Python does.
    """
    lines = (f"import site; site.addsitedir({folder!r})" for folder in folders)
    (packages_of(home) / f"{name}.pth").write_text("".join(f"{line}\n" for line in lines))
