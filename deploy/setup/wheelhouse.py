"""``assay wheelhouse``: all that set-up needs on another machine that has no network.

Standard library only, on the Python outside of the environments.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.setup.builds import Build, BuildName
from deploy.setup.environments import DEFAULT, ENVIRONMENTS, SetupError
from deploy.setup.pip_configuration import installer_environment
from deploy.setup.steps import Steps
from deploy.setup.system_torch import VLLM_OF_TORCH, SystemPython, parse_packages
from deploy.setup.wheel_collector import WheelCollector
from deploy.setup.wheelhouse_parts import Target, clear, write_parts
from quantize.jobs.lifeline import follow_owner, terminate_as_interrupt
from quantize.root import ROOT, VENVS

_BUILDS: dict[str | None, BuildName] = {None: "cpu", "12": "cuda12", "13": "cuda13"}


def collect_wheelhouse(target: Target, build: Build, output: Path, part_mb: int | None) -> None:
    """Collect, lay out, and say how large it is; blocks for minutes.

    Raises:
        SetupError: something cannot be had, or the folder holds something else.
    """
    clear(output)
    VENVS.mkdir(exist_ok=True)
    steps = Steps(installer_environment(None))
    print(f"wheelhouse: {target.build}, Python {target.python}, {target.processor}", flush=True)
    with tempfile.TemporaryDirectory(dir=VENVS) as folder:
        collector = WheelCollector(steps, build, target.python, target.processor)
        collector.collect(target.environments, Path(folder))
        part_bytes = part_mb * 10**6 if part_mb else None
        pieces = write_parts(Path(folder), output, target, part_bytes)
    size = sum(piece.size for piece in pieces)
    parts = {Path(piece.path).parent for piece in pieces}
    print(
        f"wheelhouse: {len({piece.name for piece in pieces})} files, {size / 1e6:.0f} MB in "
        f"{len(parts)} folder{'s' if len(parts) > 1 else ''} under {output}; there: "
        f"`make setup WHEELHOUSE=<that folder>`"
    )


def _parser() -> argparse.ArgumentParser:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(prog="assay wheelhouse", description=__doc__)
    parser.add_argument(
        "--python", default=here, help="that machine's Python (default: this one's)"
    )
    parser.add_argument("--cuda", choices=["12", "13"], help="the CUDA that its driver runs")
    parser.add_argument("--processor", default="x86_64", choices=["x86_64", "aarch64"])
    parser.add_argument(
        "--system", type=Path, help="`pip list --format=freeze` of a Python that holds a CUDA torch"
    )
    parser.add_argument("--envs", help="only these environments, separated by commas")
    parser.add_argument("--part-mb", type=int, help="folders of at most so many megabytes")
    parser.add_argument("--output", type=Path, default=ROOT / "wheelhouse")
    return parser


def read_request(words: Sequence[str] | None) -> tuple[Target, Build, Path, int | None]:
    """The command line's words as what is to be collected, for whom, and where.

    Raises:
        SystemExit: a mistake in them, told.
        SetupError: no vLLM fits the torch of ``--system``.
    """
    parser = _parser()
    given = parser.parse_args(words)
    names = tuple(given.envs.split(",")) if given.envs else tuple(DEFAULT)
    if unknown := set(names) - set(ENVIRONMENTS):
        parser.error(f"--envs: unknown: {', '.join(unknown)} (valid: {', '.join(ENVIRONMENTS)})")
    if given.part_mb is not None and given.part_mb < 1:
        parser.error("--part-mb: at least 1")
    system = None
    if given.system is not None:
        if not given.system.is_file():
            parser.error(f"--system: no file {str(given.system)!r}")
        packages = parse_packages(given.system.read_text())
        system = SystemPython(executable="", folders=(), packages=packages)
        if "torch" not in packages or system.vllm is None:
            known = ", ".join(VLLM_OF_TORCH)
            parser.error(f"--system: {given.system} names no torch that a vLLM fits ({known})")
    name: BuildName = "system-torch" if system else _BUILDS[given.cuda]
    target = Target(
        python=given.python,
        processor=given.processor,
        build=name,
        environments=names,
        system=system.packages if system else None,
    )
    return target, Build(name=name, system=system), given.output, given.part_mb


def main(words: Sequence[str] | None = None) -> int:
    """``assay wheelhouse …``; returns the exit code."""
    terminate_as_interrupt()
    follow_owner()
    try:
        collect_wheelhouse(*read_request(words))
    except (SetupError, OSError) as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("wheelhouse: interrupted; nothing is kept", file=sys.stderr)
        return 130
    return 0
