"""``assay bench NAME``: one of the benchmarks in ``tests/benches``, with its own options.

They test the product, which therefore never imports them: the command becomes the benchmark.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence

import typer

from eval.command_line.commands import BENCHES
from eval.command_line.options import from_here
from quantize.root import ROOT

# Everything after the name is the benchmark's own, ``--help`` included.
OWN_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
# But what these name is found from the user's folder, as with every other command.
PATHS = ("--model", "--plan")


def bench_app() -> typer.Typer:
    """A sub-command per benchmark."""
    app = typer.Typer()
    for name, bench in BENCHES.items():
        app.command(
            name,
            help=bench.summary,
            short_help=bench.summary,
            add_help_option=False,
            context_settings=OWN_OPTIONS,
        )(_running(name, bench.module))
    return app


def _running(name: str, module: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        if not (ROOT / "tests").is_dir():
            raise ValueError(f"the benchmarks are in tests/, which {ROOT} has not")
        # A service of its own keeps its record apart from the user's.
        os.environ["ASSAY_RUN_DIR"] = str(ROOT / ".run" / name)
        words = list(_from_here(context.args))
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", module, *words])

    return run


def _from_here(words: Sequence[str]) -> Iterator[str]:
    """The words with what is named as ``--model ./m`` or ``--model=./m`` seen from any folder."""
    before = ""
    for word in words:
        option, equals, value = word.partition("=")
        if before in PATHS:
            yield from_here(word)
        elif equals and option in PATHS:
            yield f"{option}={from_here(value)}"
        else:
            yield word
        before = word
