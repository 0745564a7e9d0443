"""``assay bench NAME``: one of the benchmarks in ``tests/benches``, with its own options.

They test the product, which therefore never imports them: the command becomes the benchmark.
"""

import os
import sys
from collections.abc import Callable

import typer

from eval.command_line.commands import BENCHES
from quantize.root import ROOT

# Everything after the name is the benchmark's own, ``--help`` included.
OWN_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}


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
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", module, *context.args])

    return run
