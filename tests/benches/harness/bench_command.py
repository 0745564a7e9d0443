"""Every benchmark's command, ``python -m tests.benches.<folder>``: its options and its exit code.

Exit codes: 0, 1 where a limit is missed, 3 where none is but a cell could not be measured; and as
every command of ours 2 for what the user can mend, 130 for one that was stopped.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from deploy.command_end import run_command
from deploy.make_environments import make_environments
from quantize.name_list import names_of
from tests.benches.harness.bench_run import BenchRun


def _no_options(_parser: argparse.ArgumentParser) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One benchmark: ``make bench-<name>`` writes ``<name>.json``.

    Every option that is not at its default makes a selection, but for ``asides``, which change
    nothing of what is measured. ``distributions`` are packages whose versions matter, and
    ``environments`` are made first where they are missing, as ``make setup`` leaves them out.
    """

    name: str
    about: str
    measure: Callable[[BenchRun, argparse.Namespace], None]
    add_options: Callable[[argparse.ArgumentParser], None] = _no_options
    asides: frozenset[str] = frozenset()
    distributions: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()


def chosen_from(valid: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """The type of an option that takes names of a list, separated by commas, in any order."""

    def parse(text: str) -> tuple[str, ...]:
        names = names_of(text)
        if unknown := [name for name in names if name not in valid]:
            raise argparse.ArgumentTypeError(
                f"unknown name {unknown[0]!r} (valid: {', '.join(valid)})"
            )
        return tuple(name for name in valid if name in names)

    return parse


def add_names(
    parser: argparse.ArgumentParser,
    flag: str,
    valid: Sequence[str],
    default: Sequence[str] | None = None,
) -> None:
    """An option that selects from a list; without it all are taken, or the ``default`` ones."""
    chosen = tuple(valid if default is None else default)
    parser.add_argument(
        flag, type=chosen_from(valid), default=chosen, help=f"only these of {', '.join(valid)}"
    )


def parser_of(bench: Bench) -> argparse.ArgumentParser:
    """The command line of a benchmark."""
    parser = argparse.ArgumentParser(prog=f"assay bench {bench.name}", description=bench.about)
    bench.add_options(parser)
    return parser


def run_of(
    bench: Bench, parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> BenchRun:
    """A run that knows whether it is a whole one."""
    selection = {
        name: value
        for name, value in vars(arguments).items()
        if name not in bench.asides and value != parser.get_default(name)
    }
    return BenchRun(name=bench.name, selection=selection, distributions=bench.distributions)


def start(bench: Bench) -> NoReturn:
    """Parse the command line, measure, print, write, exit."""
    parser = parser_of(bench)
    arguments = parser.parse_args()
    run = run_of(bench, parser, arguments)

    def command() -> None:
        make_environments(bench.environments)
        with run.kept():
            bench.measure(run, arguments)
        sys.exit(run.exit_code)

    run_command(f"bench-{bench.name}", command)
