"""Fetches the files of environments for another machine.

uv chooses, for that machine, the very file of every pinned package; pip fetches it. What exists as
source alone is built here where it is pure Python; else its source travels with what builds it.
Standard library only.
"""

import shutil
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from deploy.setup.builds import Build
from deploy.setup.environments import ENVIRONMENTS, UV_PIN, Environment, SetupError, lock_of
from deploy.setup.sdist import slim
from deploy.setup.steps import Steps
from deploy.setup.system_resolution import COMPILE, resolve_beside
from deploy.setup.wheelhouse_parts import LOCKS
from quantize.root import VENVS

# Ubuntu 22.04, Debian 12 and newer; some of the engines' wheels need that much.
_GLIBC = 35
# What scikit-build-core asks for only where the machine has none (its backend's own answer).
_BESIDE_BACKEND = {"scikit_build_core.build": ("cmake", "ninja")}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What uv chose for a lock: addresses of wheels, and requirements that are source alone."""

    wheels: tuple[str, ...]
    sources: tuple[str, ...]


def parse_choice(pylock: str) -> Chosen:
    """Read a ``pylock.toml`` that was made for one machine."""
    wheels, sources = [], []
    for package in tomllib.loads(pylock).get("packages", []):
        if found := package.get("wheels"):
            wheel = found[0]
            digest = wheel.get("hashes", {}).get("sha256")
            where = wheel.get("url") or Path(wheel["path"]).resolve().as_uri()
            wheels.append(f"{where}#sha256={digest}" if digest else where)
        else:
            sources.append(f"{package['name']}=={package['version']}")
    return Chosen(wheels=tuple(wheels), sources=tuple(sources))


class WheelCollector:
    """Collects the files for one machine into a folder."""

    def __init__(
        self,
        steps: Steps,
        build: Build,
        python: str,
        processor: str,
        without: Sequence[str] = (),
    ) -> None:
        self.steps = steps
        self.build = build
        self.without = without
        # What that machine's Python must have for what is collected to be enough.
        self.relied_on: dict[str, str] = {}
        self.log = steps.logs / "wheelhouse.log"
        self.log.unlink(missing_ok=True)
        platform = f"{processor}-manylinux_2_{_GLIBC}"
        self.uv_target = ["--python-version", python, "--python-platform", platform]
        tags = [f"manylinux_2_{minor}_{processor}" for minor in range(_GLIBC, 4, -1)]
        older = [f"manylinux{name}_{processor}" for name in ("2014", "2010", "1")]
        self.pip_target = ["--only-binary=:all:", "--python-version", python]
        for tag in (*tags, *older, f"linux_{processor}"):
            self.pip_target += ["--platform", tag]

    def collect(self, names: Sequence[str], output: Path) -> None:
        """Fetch everything for these environments into ``output``, their locks into ``locks/``.

        Raises:
            SetupError: something cannot be had for that machine.
        """
        (output / LOCKS).mkdir()
        first = [UV_PIN]
        for name in names:
            environment = ENVIRONMENTS[name]
            lock = output / LOCKS / f"{name}.txt"
            self._write_lock(environment, lock)
            backend = self.build.name == "cpu" and environment.torch
            self._fetch(lock, output, cpu_torch=backend)
            first += environment.build_first
        self._fetch_requirements(first, output)

    def _write_lock(self, environment: Environment, path: Path) -> None:
        kept = lock_of(environment, self.build)
        if kept is not None:
            shutil.copy(kept, path)
            return
        assert self.build.system is not None
        self.relied_on |= resolve_beside(
            self.steps, self.build.system, environment.name, path, self.log, self.uv_target
        )
        path.write_text(leave_out(path.read_text(), self.without))

    def _fetch_requirements(self, requirements: Sequence[str], output: Path) -> None:
        """Fetch requirements with all that they need in turn."""
        with tempfile.TemporaryDirectory(dir=VENVS) as folder:
            wanted, pins = Path(folder, "wanted.in"), Path(folder, "pins.txt")
            wanted.write_text("".join(f"{line}\n" for line in dict.fromkeys(requirements)))
            choose = [self.steps.uv, *COMPILE, *self.steps.uv_words, *self.uv_target]
            self.steps.run([*choose, str(wanted), "-o", str(pins)], self.log)
            self._fetch(pins, output)

    def _fetch(self, pins: Path, output: Path, *, cpu_torch: bool = False) -> None:
        """Fetch every file of a list of pins."""
        print(f"  {pins.stem} …", flush=True)
        with tempfile.TemporaryDirectory(dir=VENVS) as folder:
            pylock, addresses = Path(folder, "pylock.toml"), Path(folder, "addresses.txt")
            choose = [self.steps.uv, *COMPILE, "--no-deps", "--format", "pylock.toml"]
            choose += ["--torch-backend", "cpu"] if cpu_torch else []
            choose += [*self.steps.uv_words, *self.uv_target]
            self.steps.run([*choose, str(pins), "-o", str(pylock)], self.log)
            chosen = parse_choice(pylock.read_text())
            addresses.write_text("".join(f"{line}\n" for line in chosen.wheels))
            if chosen.wheels:
                self._pip("download", *self.pip_target, "-d", str(output), "-r", str(addresses))
        for requirement in chosen.sources:
            self._build(requirement, output)

    def _pip(self, verb: str, *words: str) -> None:
        command = [sys.executable, "-m", "pip", verb, "--no-deps", "--progress-bar", "off"]
        self.steps.run([*command, *words], self.log)

    def _build(self, requirement: str, output: Path) -> None:
        """Build a source that is pure Python; let any other travel with what builds it."""
        name = requirement.partition("==")[0]
        with tempfile.TemporaryDirectory(dir=VENVS) as folder:
            self._pip("download", "--no-binary", name, "-d", folder, requirement)
            (source,) = (path for path in Path(folder).iterdir() if path.is_file())
            if wheel := self._pure_wheel(source, Path(folder, "built")):
                shutil.copy(wheel, output)
                return
            if source.suffix == ".gz":
                slim(source, output / source.name)
            else:
                shutil.copy(source, output)
            needs = build_requirements(source)
        if needs:
            self._fetch_requirements(needs, output)

    def _pure_wheel(self, source: Path, output: Path) -> Path | None:
        """The wheel of a source that needs no compiler; None: it needs one, or cannot be built."""
        if source.name.startswith("llama_cpp_python"):
            # Minutes of a compiler, only to learn what is known.
            return None
        try:
            build = [self.steps.uv, "build", "--wheel", "--python", sys.executable]
            self.steps.run([*build, str(source), "-o", str(output)], self.log)
        except SetupError:
            return None
        return next(iter(output.glob("*-none-any.whl")), None)


def leave_out(pins: str, without: Sequence[str]) -> str:
    """Pins less those whose names are among these patterns (``nvidia-cutlass-dsl*``)."""
    lines = pins.splitlines(keepends=True)
    return "".join(
        line
        for line in lines
        if not any(fnmatch(line.partition("==")[0], pattern) for pattern in without)
    )


def build_requirements(source: Path) -> list[str]:
    """What a source distribution is built with (``[build-system]``, PEP 518)."""
    system = tomllib.loads(_pyproject(source)).get("build-system", {"requires": ["setuptools"]})
    backend = system.get("build-backend", "")
    return [*system["requires"], *_BESIDE_BACKEND.get(backend, ())]


def _pyproject(source: Path) -> str:
    """Its ``pyproject.toml``; empty where there is none, as in the older ``.zip`` archives."""
    if source.suffix == ".zip":
        return ""
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            _folder, _, name = member.name.partition("/")
            if name == "pyproject.toml" and (stream := archive.extractfile(member)):
                return stream.read().decode()
    return ""
