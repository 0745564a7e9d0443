"""A job for tests of the worker: each request says what to do in the process that stays."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from tests.quantize.jobs.echo_request import ECHO, EchoReply, EchoRequest


def carry_out(request: EchoRequest, tell: Callable[[Progress | EchoReply], None]) -> EchoReply:
    print(f"printed {request.words}", flush=True)
    tell(Progress(request.words, 1, 2))
    if request.grandchild:
        child = subprocess.Popen(["sleep", "300"])
        tell(EchoReply(pid=child.pid, folder=Path.cwd()))
    held = bytearray(request.memory_bytes)
    time.sleep(request.seconds)
    del held
    match request.fail:
        case "input":
            raise BadRequest("the text is too short")
        case "tool":
            raise RuntimeError("no such layer")
        case "killed":
            os.kill(os.getpid(), 9)
    return EchoReply(pid=os.getpid(), folder=Path.cwd())


if __name__ == "__main__":
    serve(ECHO, carry_out)
