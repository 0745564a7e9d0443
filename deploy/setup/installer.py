"""``assay setup``: make the virtual environments under ``.venvs/``.

Runs on the system's Python (``eval.command_line.start`` sees to it) with the standard library
alone. Every environment is installed by uv
from a pinned file in ``deploy/envs/``; the slow build (llama-cpp-python compiles for minutes) runs
beside the others. A finished environment is never rebuilt for nothing; an unfinished one is made
anew.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from deploy.setup.environments import (
    DEFAULT,
    ENVIRONMENTS,
    LAST_SETUP,
    MARKER,
    PINS,
    UV_PIN,
    Environment,
    SetupError,
    environment_hash,
    unfinished,
)
from deploy.setup.pip_configuration import installer_environment, torch_backend
from deploy.setup.sdist import CONVERTER, EXAMPLE_SERVER, SdistError, SdistPart, extract_part
from quantize.jobs.lifeline import follow_owner, guarded, terminate_as_interrupt
from quantize.jobs.lock import locked_file
from quantize.jobs.log_tail import log_tail
from quantize.root import ROOT, VENVS

PYTHONS = ((3, 11), (3, 14))
HEARTBEAT_S = 15.0
FREE_GIB = 10


def check_system(missing: list[Environment]) -> None:
    """Refuse early, with the remedy, what would fail after minutes.

    Raises:
        SetupError: wrong Python, no compiler, or too little room on the disk.
    """
    if not PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        raise SetupError(
            f"Python {sys.version.split()[0]} runs this; 3.11 to 3.13 is needed: "
            "make PYTHON=python3.11 …"
        )
    builds = any(item.converter or item.without_isolation for item in missing)
    if builds and not (shutil.which("cc") and shutil.which("c++")):
        raise SetupError(
            "no C/C++ compiler found (llama-cpp-python is built from source): "
            "install it, for example with `apt-get install build-essential`"
        )
    free_gib = shutil.disk_usage(ROOT).free / 2**30
    if missing and free_gib < FREE_GIB:
        raise SetupError(
            f"{free_gib:.1f} GiB free under {ROOT}; the environments need {FREE_GIB} GiB"
        )


def uv_outside() -> str | None:
    """The machine's own uv; the one of an activated environment would go with it when remade."""
    found = shutil.which("uv")
    inside = found and VENVS.resolve() in Path(found).resolve().parents
    return None if inside else found


class Installer:
    """Installs environments with one uv and one set of index settings."""

    def __init__(self, wheelhouse: Path | None) -> None:
        self.environment = installer_environment(wheelhouse)
        self.running: set[subprocess.Popen[bytes]] = set()
        self.logs = VENVS / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.uv = uv_outside() or self._bootstrap_uv()

    def _bootstrap_uv(self) -> str:
        """Install the pinned uv into an environment of its own."""
        home = VENVS / "uv"
        uv = home / "bin" / "uv"
        if not uv.exists():
            log = self.logs / "uv.log"
            try:
                self._run([sys.executable, "-m", "venv", str(home)], log, self.environment)
            except SetupError as error:
                raise SetupError(f"{error}\n(on Debian: `apt-get install python3-venv`)") from None
            self._run([str(home / "bin" / "pip"), "install", UV_PIN], log, self.environment)
        return str(uv)

    def _run(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        """Run one step, its output to the log; the log's end is the error's message."""
        with log.open("ab") as stream:
            stream.write(f"$ {' '.join(command)}\n".encode())
            stream.flush()
            child = subprocess.Popen(
                guarded(command),
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            self.running.add(child)
            code = child.wait()
            self.running.discard(child)
        if code:
            raise SetupError(
                f"`{' '.join(command[:4])} …` failed; the end of {log}:\n{log_tail(log)}"
            )

    def stop(self) -> None:
        """Stop every step under way (each guard takes its whole process group along)."""
        for child in list(self.running):
            child.terminate()

    def make(self, environment: Environment) -> float:
        """Make one environment from nothing; returns the seconds it took."""
        started = time.monotonic()
        home = VENVS / environment.name
        log = self.logs / f"{environment.name}.log"
        log.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        variables = self.environment | dict(environment.build_settings)
        self._run([self.uv, "venv", "--python", sys.executable, str(home)], log, variables)
        pip = [self.uv, "pip", "install", "--python", str(home / "bin" / "python")]
        if environment.torch:
            pip += torch_backend(variables)
        if environment.build_first:
            self._run([*pip, *environment.build_first], log, variables)
            variables["PATH"] = f"{home / 'bin'}:{variables['PATH']}"
        isolation = [f"--no-build-isolation-package={n}" for n in environment.without_isolation]
        pins = str(PINS / f"{environment.name}.txt")
        self._run([*pip, "--no-deps", *isolation, "-r", pins], log, variables)
        if environment.editable:
            self._run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], log, variables)
        if environment.upon:
            _see_behind(home, VENVS / environment.upon)
        if environment.converter:
            self._extract(environment.converter, CONVERTER, home)
        if environment.example_server:
            self._extract(environment.example_server, EXAMPLE_SERVER, home)
        seconds = time.monotonic() - started
        content = json.dumps({"hash": environment_hash(environment), "seconds": round(seconds, 1)})
        (home / MARKER).write_text(content)
        return seconds

    def _extract(self, requirement: str, part: SdistPart, home: Path) -> None:
        """Keep a part of a pinned sdist, which is downloaded for it."""
        log = self.logs / f"{part.folder}.log"
        with tempfile.TemporaryDirectory(dir=VENVS) as folder:
            download = ["download", "--no-deps", "--no-binary", ":all:", "-d", folder, requirement]
            self._run([sys.executable, "-m", "pip", *download], log, self.environment)
            (archive,) = Path(folder).glob("*.tar.gz")
            try:
                extract_part(archive, part, home)
            except SdistError as error:
                raise SetupError(f"{requirement}: {error}") from None


def _see_behind(home: Path, other: Path) -> None:
    """Let an environment import what another one has and it has not (site's ``.pth`` files)."""
    (packages,) = (home / "lib").glob("python3*/site-packages")
    theirs = other / packages.relative_to(home)
    (packages / "upon.pth").write_text(f"{theirs}\n")


def _await(futures: dict[Future[float], str]) -> None:
    """Report each environment as it finishes, and a heartbeat while any is under way."""
    started = time.monotonic()
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=HEARTBEAT_S, return_when="FIRST_COMPLETED")
        for future in done:
            print(f"  {futures[future]:<10} ready in {future.result():.0f} s", flush=True)
        if not done:
            names = ", ".join(sorted(futures[future] for future in pending))
            print(f"  … {names} ({time.monotonic() - started:.0f} s so far)", flush=True)


def set_up(names: list[str], wheelhouse: Path | None = None) -> None:
    """Make every named environment that is not finished, all beside each other.

    Raises:
        SetupError: with the end of the failing step's log.
    """
    VENVS.mkdir(exist_ok=True)
    with locked_file(VENVS / ".lock", lambda _: None):
        started = time.monotonic()
        missing = unfinished(names)
        check_system(missing)
        if missing:
            print(f"set-up: {', '.join(item.name for item in missing)} (logs in {VENVS / 'logs'})")
            installer = Installer(wheelhouse)
            with ThreadPoolExecutor(len(missing)) as pool:
                try:
                    _await({pool.submit(installer.make, item): item.name for item in missing})
                except BaseException:
                    installer.stop()
                    raise
        seconds = time.monotonic() - started
        LAST_SETUP.write_text(json.dumps({"seconds": seconds, "cached": not missing}))


def main(words: Sequence[str] | None = None) -> int:
    """``assay setup [names …] [--wheelhouse DIR]``; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="assay setup", description="Make the virtual environments under .venvs/"
    )
    parser.add_argument("names", nargs="*", default=DEFAULT, metavar="environment")
    parser.add_argument("--wheelhouse", type=Path, help="install from this folder alone, offline")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.names) - set(ENVIRONMENTS):
        parser.error(f"unknown: {', '.join(unknown)} (valid: {', '.join(ENVIRONMENTS)})")
    wheelhouse = arguments.wheelhouse.resolve() if arguments.wheelhouse else None
    if wheelhouse and not wheelhouse.is_dir():
        parser.error(f"--wheelhouse: no folder {str(arguments.wheelhouse)!r}")
    terminate_as_interrupt()
    follow_owner()
    try:
        set_up(arguments.names, wheelhouse)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("set-up: interrupted; what is finished is kept", file=sys.stderr)
        return 130
    return 0
