"""A guarded command never outlives its owner, however the owner dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from quantize.jobs import lifeline
from tests.quantize.jobs.processes import wait_until_gone

# An owner that starts a guarded shell with a grandchild, and tells both their pids.
OWNER = """
import subprocess, sys, time
from quantize.jobs.lifeline import guarded
child = subprocess.Popen(
    guarded(["sh", "-c", "sleep 300 & echo $$ $!; wait"]), start_new_session=True
)
time.sleep(300)
"""


def start_owner() -> tuple[subprocess.Popen[str], list[int]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    return owner, [int(pid) for pid in owner.stdout.readline().split()]


def test_a_killed_owner_takes_the_command_and_its_children_along() -> None:
    owner, pids = start_owner()
    with owner:
        owner.kill()
        owner.wait()
    assert len(pids) == 2
    assert wait_until_gone(pids)


def test_killing_the_owners_whole_process_group_leaves_nothing_either() -> None:
    owner, pids = start_owner()
    with owner:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()
    assert wait_until_gone(pids)


def test_the_commands_exit_code_is_passed_on() -> None:
    code = subprocess.run(lifeline.guarded(["sh", "-c", "exit 7"]), check=False).returncode
    assert code == 7


def test_a_folder_is_left_to_an_owner_that_lives(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    subprocess.run(lifeline.guarded(["true"], [folder]), check=True)
    assert folder.exists()


def test_a_folder_goes_with_a_killed_owner_after_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    script = (
        "import subprocess, sys; from pathlib import Path\n"
        "from quantize.jobs.lifeline import guarded\n"
        "command = ['sh', '-c', 'echo $PPID $$; exec sleep 300']\n"
        "subprocess.run(guarded(command, [Path(sys.argv[1])]), start_new_session=True)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        owner.kill()
    assert wait_until_gone(pids)
    assert not folder.exists()


def test_a_terminated_guard_stops_its_command() -> None:
    guard = subprocess.Popen(
        lifeline.guarded(["sh", "-c", "echo $$; exec sleep 300"]), stdout=subprocess.PIPE, text=True
    )
    with guard:
        assert guard.stdout is not None
        pid = int(guard.stdout.readline())
        guard.terminate()
        assert guard.wait() == 128 + signal.SIGTERM
    assert wait_until_gone([pid])


def test_a_command_dies_with_its_guard() -> None:
    guard = subprocess.Popen(
        lifeline.guarded(["sh", "-c", "echo $$; exec sleep 300"]), stdout=subprocess.PIPE, text=True
    )
    with guard:
        assert guard.stdout is not None
        pid = int(guard.stdout.readline())
        guard.kill()
    assert wait_until_gone([pid])


def test_a_process_is_known_by_its_start_time_until_it_is_gone() -> None:
    child = subprocess.Popen(["sleep", "300"])
    assert lifeline.start_time(child.pid) is not None
    child.kill()
    child.wait()
    assert lifeline.start_time(child.pid) is None


def test_a_command_stops_itself_when_the_named_owner_is_gone() -> None:
    stand_in = subprocess.Popen(["sleep", "300"])
    script = (
        "import time; from quantize.jobs.lifeline import *; terminate_as_interrupt()\n"
        "follow_owner()\n"
        "print('up', flush=True)\n"
        "try:\n    time.sleep(300)\nexcept KeyboardInterrupt:\n    print('stopped')\n"
    )
    follower = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, lifeline.OWNER_VARIABLE: str(stand_in.pid)},
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "up\n"
    stand_in.kill()
    stand_in.wait()
    output, _ = follower.communicate(timeout=20)
    assert output == "stopped\n"
