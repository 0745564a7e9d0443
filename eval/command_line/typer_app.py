"""The command line ``assay``: sub-commands, help and shell completion by Typer.

Sub-commands import what they need when they run: ``assay --help`` and the shell's completion must
answer at once, and Ray alone takes seconds to import.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from deploy.command_end import STOPPED, run_command
from eval.command_line.artifact_commands import capacity, explore, quantize
from eval.command_line.bench_command import bench_app
from eval.command_line.commands import COMMANDS, HELP, version
from eval.command_line.measuring_commands import (
    calibrate,
    compare,
    evaluate,
    loads,
    loadtest,
    loadtest_ui,
    report,
    slo_search,
)
from eval.command_line.service_commands import conformance, down, prometheus, serve, status, up


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version())
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """One model, every quantization, real servers, one verdict."""


def setup(
    environments: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None,
    wheelhouse: Annotated[
        Path | None, typer.Option(help="Install from this folder alone, offline.")
    ] = None,
    build: Annotated[
        str, typer.Option(help="What the engines are built for: auto, cpu, cuda13, …")
    ] = "auto",
    architectures: Annotated[
        str, typer.Option(help="CUDA architectures of llama.cpp, as 90;120.")
    ] = "",
) -> None:
    """Only described here: ``eval.command_line.start`` has it done by a Python outside of them."""


def wheelhouse(
    python: Annotated[str, typer.Option(help="That machine's Python, as 3.12.")] = "",
    cuda: Annotated[str, typer.Option(help="The CUDA that its driver runs: 12 or 13.")] = "",
    processor: Annotated[str, typer.Option(help="x86_64 or aarch64.")] = "x86_64",
    system: Annotated[
        Path | None, typer.Option(help="`pip list --format=freeze` of its CUDA torch's Python.")
    ] = None,
    envs: Annotated[str, typer.Option(help="Only these environments.")] = "",
    without: Annotated[str, typer.Option(help="Leave these out, as `tilelang,nvidia-cut*`.")] = "",
    part_mb: Annotated[int, typer.Option(help="Folders of at most so many megabytes.")] = 0,
    output: Annotated[Path, typer.Option(help="The folder to fill.")] = Path("wheelhouse"),
) -> None:
    """Only described here, like ``setup``."""


ACTIONS: Mapping[str, Callable[..., None]] = {
    "compare": compare,
    "up": up,
    "serve": serve,
    "status": status,
    "down": down,
    "quantize": quantize,
    "capacity": capacity,
    "explore": explore,
    "loadtest": loadtest,
    "loadtest-ui": loadtest_ui,
    "loads": loads,
    "slo-search": slo_search,
    "calibrate": calibrate,
    "eval": evaluate,
    "report": report,
    "conformance": conformance,
    "prometheus": prometheus,
    "setup": setup,
    "wheelhouse": wheelhouse,
}


def make_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(HELP)},
    )
    app.callback()(_root)
    for name, command in COMMANDS.items():
        if name == "bench":
            app.add_typer(bench_app(), name=name, help=command.help, short_help=command.summary)
        else:
            app.command(name, help=command.help, short_help=command.summary)(ACTIONS[name])
    return app


def run(words: Sequence[str]) -> NoReturn:
    """Run one command and exit with its code; a mistake in ``words`` is told in one line."""
    command = get_command(make_app())
    # What is only the beginning of a command asks for its help.
    given = [*words, "--help"] if list(words) in ([], ["bench"]) else list(words)

    def invoke() -> None:
        try:
            code: Any = command(given, prog_name="assay", standalone_mode=False)
        except typer.TyperException as error:
            raise ValueError(error.format_message()) from None
        if code == STOPPED:
            raise KeyboardInterrupt
        if code:
            raise SystemExit(code)

    run_command(" ".join(["assay", *words[:1]]), invoke)
