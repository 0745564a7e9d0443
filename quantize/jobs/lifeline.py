"""No process outlives its owner: the guard that keeps a killed command from leaving orphans.

Standard library only: the installer uses this before any environment exists.

Whatever of ours runs in another process is started as
``python quantize/jobs/lifeline.py OWNER_PID [FOLDER …] -- command``: a guard, in a session of its
own, that runs the command in a process group and ends the whole group when the owner is gone,
however the owner died; the owner's temporary folders, which nobody else would remove, go last. A
guard is one process more, and the only way that holds all we promise: the kernel's own
(``PR_SET_PDEATHSIG``) spares grandchildren and goes by the thread that started the child, a pipe
that closes needs somebody alive to notice, and neither works for programs that are not ours.
Open files that are passed to a guard are held by it and the command until both are gone, locks
among them. Should a guard itself be killed, the kernel does kill its command.

The other half is ``follow_owner``, for a command that was started by something else (``make``, a
test) and must notice that end by itself, to stop the way Ctrl-C stops it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

OWNER_VARIABLE = "ASSAY_OWNER_PID"
POLL_S = 0.2
GRACE_S = 10.0
_PR_SET_PDEATHSIG = 1


def start_time(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; None when it is gone or a zombie.

    Together with the pid it names a process for good: pids are reused, start times are not.
    Source: proc_pid_stat(5), field 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(rest[18])


def wait_until_gone(pid: int) -> None:
    """Block until a process has ended."""
    born = start_time(pid)
    while born is not None and start_time(pid) == born:
        time.sleep(POLL_S)


def follow_owner() -> None:
    """Send ourselves SIGTERM when the process named by ``ASSAY_OWNER_PID`` is gone.

    Does nothing where the variable is not set (a command typed by hand).
    """
    owner = os.environ.get(OWNER_VARIABLE, "")
    if not owner.isdigit():
        return

    def watch() -> None:
        wait_until_gone(int(owner))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def terminate_as_interrupt() -> None:
    """Make SIGTERM raise KeyboardInterrupt, so that one clean-up path serves both."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def guarded(command: Sequence[str], folders: Sequence[Path] = ()) -> list[str]:
    """The command line that runs ``command`` under a guard owned by this process.

    Start it with ``start_new_session=True``: a guard must survive what kills its owner's group.
    ``folders`` are removed where we end without having done so.
    """
    ours = [str(os.getpid()), *map(str, folders)]
    return [sys.executable, "-I", __file__, *ours, "--", *command]


def end(guard: subprocess.Popen[Any]) -> None:
    """Stop a guarded command with all that it started; blocks until it is gone."""
    guard.terminate()
    guard.wait()


def _stop_group(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the child's process group, SIGKILL to what is left after ``GRACE_S``."""
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            child.poll()
            try:
                os.killpg(child.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def _die_with_guard() -> None:
    """Runs in the command before exec: the kernel kills it when its guard ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def guard(owner: int, command: Sequence[str], folders: Sequence[str] = ()) -> int:
    """Run ``command`` in a process group of its own until it ends or ``owner`` is gone.

    ``folders`` are removed where the owner is gone. Returns the command's exit code, or
    128 + SIGTERM when it was stopped.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _signal, _frame: stopping.set())
    born = start_time(owner)

    def is_owned() -> bool:
        return born is not None and start_time(owner) == born

    # What the owner passed on is inheritable, and goes on to the command.
    child = subprocess.Popen(
        command, start_new_session=True, close_fds=False, preexec_fn=_die_with_guard
    )
    code = _until_end(child, lambda: not stopping.is_set() and is_owned())
    _stop_group(child)
    if not is_owned():
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _until_end(child: subprocess.Popen[bytes], is_wanted: Callable[[], bool]) -> int:
    """Wait until the child ends or is wanted no more; returns the exit code of either."""
    while True:
        try:
            code = child.wait(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if not is_wanted():
                return 128 + signal.SIGTERM
        else:
            return code if code >= 0 else 128 - code


def main() -> int:
    """The guard's command; returns its exit code."""
    ours, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    owner, *folders = ours
    return guard(int(owner), command, folders)


if __name__ == "__main__":
    sys.exit(main())
