"""From a command line to the environment that can run it, which is made where it is missing.

Standard library only: ``./assay`` runs it on the system's Python before any environment exists.
No step is a child: each takes the place of the last (exec), so signals, the exit code and the
owner (``quantize.jobs.lifeline``) reach the command itself.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.setup.environments import MARKER
from eval.command_line.commands import COMMANDS, HELP, overview, version
from quantize.jobs.environment import python_of
from quantize.root import ROOT, VENVS

CONTROL = VENVS / "control"
SCRIPT = ROOT / "assay"


def start(words: Sequence[str]) -> NoReturn:
    """``./assay``: set up what the command needs, and run it in the control environment."""
    if Path(sys.prefix).resolve() == CONTROL.resolve():
        _run(words)
    if _sets_up(words):
        # Imported only here: help and completion must answer at once.
        from deploy.setup import installer

        code = installer.main(words[1:] if words[0] == "setup" else ())
        if code or words[0] == "setup":
            sys.exit(code)
    elif not (CONTROL / MARKER).is_file():
        _without_environments(words)
    _become(python_of("control"), words)


def installed() -> NoReturn:
    """The script ``assay`` of the control environment: only another Python can remake that one."""
    words = sys.argv[1:]
    if _sets_up(words):
        _become(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"), words)
    _run(words)


def _run(words: Sequence[str]) -> NoReturn:
    # Only this environment has the library.
    from eval.command_line.typer_app import run

    run(words)


def _become(python: Path, words: Sequence[str]) -> NoReturn:
    os.execv(python, [str(python), str(SCRIPT), *words])


def _sets_up(words: Sequence[str]) -> bool:
    """Whether the command makes environments first: not to show help, and not for a mistake."""
    if not words or words[0] not in COMMANDS or list(words) == ["bench"]:
        return False
    if words[0] == "setup":
        return True
    return COMMANDS[words[0]].sets_up and not set(HELP).intersection(words)


def _without_environments(words: Sequence[str]) -> NoReturn:
    """What can be answered before set-up: help and version; all else names the remedy."""
    name = words[0] if words else "--help"
    if name == "--version":
        print(version())
    elif name in COMMANDS and set(HELP).intersection(words):
        told = COMMANDS[name].help.replace("\b\n", "")
        print(f"{told}\n\nAfter `./assay setup` this shows its options too.")
    elif name in HELP or name == "bench":
        print(overview())
    elif name in COMMANDS:
        _refuse("nothing is installed yet: run `make setup` first")
    else:
        _refuse(f"no command {name!r} (valid: {', '.join(COMMANDS)})")
    sys.exit(0)


def _refuse(message: str) -> NoReturn:
    print(f"assay: {message}", file=sys.stderr)
    sys.exit(2)
