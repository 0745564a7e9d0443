"""``assay setup``: make the virtual environments under ``.venvs/``.

Runs on the system's Python (``eval.command_line.start`` sees to it) with the standard library
alone. The machine is looked at, and the builds of the engines follow from it. Every environment is
installed by uv from a pinned file in ``deploy/envs/``; the slow build (llama-cpp-python compiles
for minutes) runs beside the others. A finished environment is never rebuilt for nothing; an
unfinished one is made anew.
"""

import argparse
import errno
import json
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from deploy.setup.builds import BUILDS, Build, BuildError, choose_build
from deploy.setup.environment_maker import EnvironmentMaker
from deploy.setup.environments import (
    DEFAULT,
    ENVIRONMENTS,
    LAST_SETUP,
    Environment,
    SetupError,
    lock_of,
    record_build,
    recorded_build,
    unfinished,
)
from deploy.setup.findings import look
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.steps import Steps
from deploy.setup.wheelhouse_parts import LOCKS, open_parts, read_target
from quantize.jobs.lifeline import follow_owner, terminate_as_interrupt
from quantize.jobs.lock import locked_file
from quantize.root import ROOT, VENVS

PYTHONS = ((3, 11), (3, 14))
HEARTBEAT_S = 15.0
FREE_GIB = 10
FREE_GIB_CUDA = 25
AUTO = "auto"
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_system(missing: list[Environment], build: Build) -> None:
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
    needed_gib = FREE_GIB if build.name == "cpu" else FREE_GIB_CUDA
    if missing and free_gib < needed_gib:
        raise SetupError(
            f"{free_gib:.1f} GiB free under {ROOT}; the environments need {needed_gib} GiB"
        )


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


def set_up(names: list[str], build: Build, wheelhouse: Path | None = None) -> None:
    """Make every named environment that is not finished, all beside each other.

    Raises:
        SetupError: with the end of the failing step's log.
    """
    VENVS.mkdir(exist_ok=True)
    with locked_file(VENVS / ".lock", lambda _: None):
        started = time.monotonic()
        if build != recorded_build():
            record_build(build)
        missing = unfinished(names)
        check_system(missing, build)
        if missing:
            print(f"set-up: {', '.join(item.name for item in missing)} (logs in {VENVS / 'logs'})")
            _make(missing, build, wheelhouse)
        seconds = time.monotonic() - started
        LAST_SETUP.write_text(json.dumps({"seconds": seconds, "cached": not missing}))


def _make(missing: list[Environment], build: Build, wheelhouse: Path | None) -> None:
    locks: dict[str, Path] = {}
    if wheelhouse is not None:
        wheelhouse, locks = unpack(wheelhouse, build, [item.name for item in missing])
    steps = Steps(installer_environment(wheelhouse))
    maker = EnvironmentMaker(steps, build, locks)
    with ThreadPoolExecutor(len(missing)) as pool:
        try:
            _await({pool.submit(maker.make, item): item.name for item in missing})
        except BaseException:
            steps.stop()
            raise
    # Joined from the wheelhouse; all of it is installed.
    shutil.rmtree(VENVS / "wheelhouse", ignore_errors=True)


def unpack(wheelhouse: Path, build: Build, names: Sequence[str]) -> tuple[Path, dict[str, Path]]:
    """The folder to install from, and the locks that the wheelhouse brings.

    A plain folder of wheels is what it is; one that ``assay wheelhouse`` made is checked, and its
    parts are joined.

    Raises:
        SetupError: it is damaged, for another machine, or of other pins than this checkout's.
    """
    target = read_target(wheelhouse)
    if target is None:
        return wheelhouse, {}
    if why := target.mismatch(build.name, build.system.packages if build.system else None):
        raise SetupError(f"--wheelhouse {wheelhouse}: {why}")
    if lacking := set(names) - set(target.environments):
        raise SetupError(f"--wheelhouse {wheelhouse}: it has nothing for {', '.join(lacking)}")
    locks = {name: wheelhouse / LOCKS / f"{name}.txt" for name in names}
    for name, lock in locks.items():
        own = lock_of(ENVIRONMENTS[name], build)
        if own is not None and own.read_bytes() != lock.read_bytes():
            raise SetupError(
                f"--wheelhouse {wheelhouse}: {name} has other pins in this checkout; make it anew"
            )
    print(f"  wheelhouse: checking and joining {wheelhouse}", flush=True)
    joined = VENVS / "wheelhouse"
    open_parts(wheelhouse, joined)
    return joined, locks


def choose(asked: str | None, architectures: str | None) -> Build:
    """Look at the machine, choose its builds, and say what was found and is taken.

    What was asked for once stays asked for, until ``auto`` is.

    Raises:
        SetupError: what is asked for cannot run here.
    """
    before = recorded_build()
    if asked is None and before.asked:
        asked, architectures = before.name, architectures or before.llama_cuda or None
    found = look(Path(before.system.executable) if before.system else None)
    try:
        choice = choose_build(found, None if asked == AUTO else asked, architectures)
    except BuildError as error:
        raise SetupError(str(error)) from None
    print(f"set-up: {found.phrase}")
    for reason in choice.reasons:
        print(f"  {reason}", flush=True)
    return choice.build


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay setup", description="Make the virtual environments under .venvs/"
    )
    parser.add_argument("names", nargs="*", default=DEFAULT, metavar="environment")
    parser.add_argument("--wheelhouse", type=Path, help="install from this folder alone, offline")
    parser.add_argument(
        "--build",
        choices=(AUTO, *BUILDS),
        help="what the engines are built for; once asked for it stays, until `auto`",
    )
    parser.add_argument(
        "--architectures",
        metavar="90;120",
        help="CUDA architectures that llama.cpp is compiled for (default: this machine's)",
    )
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """``assay setup [names …] [--wheelhouse DIR] [--build NAME]``; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if unknown := set(arguments.names) - set(ENVIRONMENTS):
        parser.error(f"unknown: {', '.join(unknown)} (valid: {', '.join(ENVIRONMENTS)})")
    wheelhouse = arguments.wheelhouse.resolve() if arguments.wheelhouse else None
    if wheelhouse and not wheelhouse.is_dir():
        parser.error(f"--wheelhouse: no folder {str(arguments.wheelhouse)!r}")
    terminate_as_interrupt()
    follow_owner()
    try:
        build = choose(arguments.build, arguments.architectures)
        set_up(arguments.names, build, wheelhouse)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        print(
            f"set-up: {error.filename} cannot be written ({error.strerror}): run it as its "
            "owner, or in a clone of your own",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("set-up: interrupted; what is finished is kept", file=sys.stderr)
        return 130
    return 0
