"""``assay wheelhouse``: all that set-up needs on another machine that has no network.

Standard library only, on the Python outside of the environments.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.setup.builds import Build, BuildName
from deploy.setup.environments import DEFAULT, ENVIRONMENTS, SetupError
from deploy.setup.pip_configuration import installer_environment, without_cpu_torch
from deploy.setup.steps import Steps
from deploy.setup.system_torch import VLLM_OF_TORCH, SystemPython, parse_packages
from deploy.setup.wheel_collector import WheelCollector
from deploy.setup.wheelhouse_parts import Target, clear, write_parts
from quantize.jobs.lifeline import follow_owner, terminate_as_interrupt
from quantize.root import ROOT, VENVS

_BUILDS: dict[str | None, BuildName] = {None: "cpu", "12": "cuda12", "13": "cuda13"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is collected, for whom, and how it is laid out."""

    target: Target
    build: Build
    output: Path
    part_mb: int | None = None
    without: tuple[str, ...] = ()


def collect_wheelhouse(request: Request) -> None:
    """Collect, lay out, and say how large it is; blocks for minutes.

    Raises:
        SetupError: something cannot be had, or the folder holds something else.
    """
    target, output = request.target, request.output
    clear(output)
    VENVS.mkdir(exist_ok=True)
    settings = installer_environment(None)
    steps = Steps(settings if target.build == "cpu" else without_cpu_torch(settings))
    print(f"wheelhouse: {target.build}, Python {target.python}, {target.processor}", flush=True)
    with tempfile.TemporaryDirectory(dir=VENVS) as folder:
        collector = WheelCollector(
            steps, request.build, target.python, target.processor, request.without
        )
        collector.collect(target.environments, Path(folder))
        target = replace(target, system=collector.relied_on or None)
        part_bytes = request.part_mb * 10**6 if request.part_mb else None
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
    parser.add_argument(
        "--without",
        help="with --system: what that machine's kernels do not use, as `tilelang,nvidia-cutlass*`",
    )
    parser.add_argument("--part-mb", type=int, help="folders of at most so many megabytes")
    parser.add_argument("--output", type=Path, default=ROOT / "wheelhouse")
    return parser


def _system_of(parser: argparse.ArgumentParser, path: Path) -> SystemPython:
    """That machine's Python, of which only the packages are known."""
    if not path.is_file():
        parser.error(f"--system: no file {str(path)!r}")
    packages = parse_packages(path.read_text())
    system = SystemPython(executable="", folders=(), packages=packages)
    if "torch" not in packages or system.vllm is None:
        known = ", ".join(VLLM_OF_TORCH)
        parser.error(f"--system: {path} names no torch that a vLLM fits ({known})")
    return system


def read_request(words: Sequence[str] | None) -> Request:
    """The command line's words as what is to be collected, for whom, and where.

    Raises:
        SystemExit: a mistake in them, told.
    """
    parser = _parser()
    given = parser.parse_args(words)
    names = tuple(given.envs.split(",")) if given.envs else tuple(DEFAULT)
    if unknown := set(names) - set(ENVIRONMENTS):
        parser.error(f"--envs: unknown: {', '.join(unknown)} (valid: {', '.join(ENVIRONMENTS)})")
    if given.part_mb is not None and given.part_mb < 1:
        parser.error("--part-mb: at least 1")
    if (given.cuda, given.processor) == ("12", "aarch64"):
        parser.error("--cuda 12: there are no CUDA 12 builds for aarch64 (--cuda 13 has them)")
    if given.without and given.system is None:
        parser.error("--without: only with --system; the other builds are installed as pinned")
    system = _system_of(parser, given.system) if given.system else None
    name: BuildName = "system-torch" if system else _BUILDS[given.cuda]
    target = Target(
        python=given.python,
        processor=given.processor,
        build=name,
        environments=names,
    )
    return Request(
        target=target,
        build=Build(name=name, system=system),
        output=given.output,
        part_mb=given.part_mb,
        without=tuple(given.without.split(",")) if given.without else (),
    )


def main(words: Sequence[str] | None = None) -> int:
    """``assay wheelhouse …``; returns the exit code."""
    terminate_as_interrupt()
    follow_owner()
    try:
        collect_wheelhouse(read_request(words))
    except (SetupError, OSError) as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("wheelhouse: interrupted; nothing is kept", file=sys.stderr)
        return 130
    return 0
