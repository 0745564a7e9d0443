"""What of a service is heard beyond this machine is found, by process and port."""

import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import psutil

from deploy.listeners import heard_beyond, listening
from deploy.service import MARK
from tests.deploy.test_service import record_of

LISTENER = """
import socket, sys, time
held = [socket.create_server((host, 0)) for host in ("127.0.0.1", "0.0.0.0", "0.0.0.0")]
print(*(listener.getsockname()[1] for listener in held), flush=True)
time.sleep(300)
"""


def test_what_a_deployment_opens_beyond_loopback_is_told_but_for_its_own_port(
    tmp_path: Path,
) -> None:
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            inner, own, other = map(int, process.stdout.readline().split())
            assert {port for _, port in listening(psutil.Process(process.pid))} == {
                inner,
                own,
                other,
            }
            record = replace(
                record_of(os.getpid(), tmp_path), deployment=mark, url=f"http://127.0.0.1:{own}"
            )
            (told,) = heard_beyond(record)
            assert told[1:] == ("0.0.0.0", other)
        finally:
            process.kill()


def test_a_process_that_is_gone_listens_nowhere() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    found = psutil.Process(process.pid)
    process.wait()
    assert listening(found) == []
