"""The environments that a command turns out to need, made by set-up on the Python outside of them.

Most commands name what they need beforehand: ``eval.command_line.commands``.
"""

from collections.abc import Sequence

from deploy.artifacts import run_stage
from deploy.setup.environments import base_python, unfinished
from quantize.root import ROOT


def make_environments(names: Sequence[str]) -> None:
    """Make those of the named environments that are missing or out of date; blocks.

    Raises:
        StageError: set-up failed, and has said why.
    """
    if unfinished(names):
        run_stage("set-up", [base_python(), str(ROOT / "assay"), "setup", *names])
