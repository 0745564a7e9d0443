"""From a command line to the environment that can run it, which is made where it is missing.

Standard library only: ``./assay`` runs it on the system's Python before any environment exists.
No step is a child: each takes the place of the last (exec), so signals, the exit code and the
owner (``quantize.jobs.lifeline``) reach the command itself.
"""

import locale
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.setup.environments import ENVIRONMENTS, MARKER, base_python, is_finished, unfinished
from eval.command_line.commands import BENCHES, COMMANDS, HELP, overview, version
from quantize.jobs.environment import python_of
from quantize.jobs.surroundings import PYTHON_PATHS, direct, somebody
from quantize.root import ROOT, VENVS

CONTROL = VENVS / "control"
SCRIPT = ROOT / "assay"
# For a user who has none that can be written; made by whoever writes there.
HOME = ROOT / ".run" / "home"


def start(words: Sequence[str]) -> NoReturn:
    """``./assay``: set up what the command needs, and run it in the control environment.

    Of the user's shell, nothing that decides what Python imports, or how it reads files, goes
    further; and nobody that we start asks this machine through a proxy, or is without a name and a
    home.
    """
    fixed = {"PYTHONUTF8": "1", **direct(os.environ), **somebody(os.environ, HOME)}
    os.environ.update(fixed)
    misled = {os.environ.pop(name, None) for name in PYTHON_PATHS} != {None}
    # Of an ASCII locale it says ASCII in UTF-8 mode too: asked there, this would never end.
    misled |= not sys.flags.utf8_mode and locale.getencoding().lower() != "utf-8"
    if Path(sys.prefix).resolve() == CONTROL.resolve():
        if misled:
            _become(python_of("control"), words)
        _from_inside(words)
    if _collects(words):
        # Imported only here: help and completion must answer at once.
        from deploy.setup import wheelhouse

        sys.exit(wheelhouse.main(words[1:]))
    if names := _needed(words):
        from deploy.setup import installer

        code = installer.main(words[1:] if words[0] == "setup" else names)
        if code or words[0] == "setup":
            sys.exit(code)
    elif not (CONTROL / MARKER).is_file():
        _without_environments(words, "nothing is installed yet")
    _become(python_of("control"), words)


def installed() -> NoReturn:
    """The script ``assay`` of the control environment."""
    start(sys.argv[1:])


def _from_inside(words: Sequence[str]) -> NoReturn:
    """On the control environment's Python: only another one can remake that environment."""
    names = _needed(words)
    if _collects(words) or unfinished(names) or (names and words[0] == "setup"):
        _become(base_python(), words)
    if not is_finished(ENVIRONMENTS["control"]):
        _without_environments(words, "this checkout needs other packages than are installed")
    # Only this environment has the library.
    from eval.command_line.typer_app import run

    run(words)


def _collects(words: Sequence[str]) -> bool:
    """Whether wheels are collected for another machine: by pip, which no environment has."""
    return list(words[:1]) == ["wheelhouse"] and not set(HELP).intersection(words)


def _become(python: str | Path, words: Sequence[str]) -> NoReturn:
    try:
        os.execv(python, [str(python), str(SCRIPT), *words])
    except PermissionError:
        _refuse(f"{python} may not be run by this user: set up a clone of your own")


def _needed(words: Sequence[str]) -> Sequence[str]:
    """The environments the command makes first: none to show help, and none for a mistake."""
    name, *rest = words or [""]
    if name not in COMMANDS or set(HELP).intersection(rest):
        return ()
    if name == "bench":
        return BENCHES[rest[0]].environments if rest and rest[0] in BENCHES else ()
    # What it then asks of others it makes itself, when it knows which (artifact_commands.py).
    return ("control",) if "--dry-run" in rest else COMMANDS[name].environments


def _without_environments(words: Sequence[str], why: str) -> NoReturn:
    """What can be answered without set-up: help and version; all else names the remedy."""
    name = words[0] if words else "--help"
    if name == "--version":
        print(version())
    elif name in COMMANDS and set(HELP).intersection(words):
        told = COMMANDS[name].help.replace("\b\n", "")
        print(f"{told}\n\nAfter `./assay setup` this shows its options too.")
    elif name in HELP or list(words) == ["bench"]:
        print(overview())
    elif name == "bench":
        _refuse(f"no benchmark {words[1]!r} (valid: {', '.join(BENCHES)})")
    elif name in COMMANDS or name.startswith("-"):
        _refuse(f"{why}: run `make setup` first")
    else:
        _refuse(f"no command {name!r} (valid: {', '.join(COMMANDS)})")
    sys.exit(0)


def _refuse(message: str) -> NoReturn:
    print(f"assay: {message}", file=sys.stderr)
    sys.exit(2)
