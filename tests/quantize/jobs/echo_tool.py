"""A tool for tests of the worker: each request says what to do in the process that stays."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from quantize.jobs.tool_server import BadRequest, serve


def _carry_out(request: dict[str, Any]) -> None:
    print(f"progress: {request['words']}", flush=True)
    held = bytearray(request.get("bytes", 0))
    time.sleep(request.get("seconds", 0))
    del held
    match request.get("fail"):
        case "input":
            raise BadRequest("the text is too short")
        case "tool":
            raise RuntimeError("no such layer")
        case "killed":
            os.kill(os.getpid(), 9)
    Path(request["out"]).write_text(str(os.getpid()))


if __name__ == "__main__":
    assert sys.argv[1].isdigit()
    serve(_carry_out)
