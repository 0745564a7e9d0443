"""The environments that a command turns out to need, made by set-up on the Python outside of them.

Most commands name what they need beforehand: ``eval.command_line.commands``.
"""

import subprocess
from collections.abc import Sequence

from deploy.setup.environments import base_python, unfinished
from quantize.jobs.lifeline import end, guarded
from quantize.root import ROOT


class EnvironmentsError(RuntimeError):
    """Set-up failed and has said why on its own output; this command exits with the same code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"set-up failed (exit code {code}); see its message above")
        self.exit_code = code


def make_environments(names: Sequence[str]) -> None:
    """Make those of the named environments that are missing or out of date; blocks.

    Raises:
        EnvironmentsError: set-up failed, and has said why.
    """
    if unfinished(names):
        _run([base_python(), str(ROOT / "assay"), "setup", *names])


def _run(command: list[str]) -> None:
    """Run a command under a guard, from the repository's root, its output passed on."""
    child = subprocess.Popen(guarded(command), cwd=ROOT, start_new_session=True)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        end(child)
        raise
    if code:
        raise EnvironmentsError(code)
