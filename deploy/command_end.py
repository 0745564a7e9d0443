"""How a command of ours ends: a user's mistake in one clear line, and an exit code that says whose.

Light to import: whatever a command needs, it imports itself.
"""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from quantize.jobs.lifeline import follow_owner, terminate_as_interrupt

STOPPED = 130


def run_command(name: str, command: Callable[[], None]) -> NoReturn:
    """Run a command and exit: 0, 2 for what the user can mend, 1 for what broke, 130 stopped."""
    terminate_as_interrupt()
    _stop_at_hangup()
    follow_owner()
    try:
        command()
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(STOPPED)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(_exit_code(error))
    sys.exit(0)


def _stop_at_hangup() -> None:
    """A terminal that is closed stops us as SIGTERM does, unless ``nohup`` has it ignored."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))


def _exit_code(error: Exception) -> int:
    """The code an error carries itself, or 2 for a ``ValueError`` and 1 for any other."""
    known = getattr(error, "exit_code", None)
    return known if isinstance(known, int) else 2 if isinstance(error, ValueError) else 1
