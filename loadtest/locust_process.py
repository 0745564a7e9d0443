"""Runs one Locust process and collects what it tells; nothing of it outlives this process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.job import JOB_VARIABLE, Job, LevelEnd, decode
from loadtest.records import RequestRecord
from quantize.jobs.log_tail import log_tail
from quantize.root import ROOT


class LoadTestError(RuntimeError):
    """A load test that could not be done; the message names the variant and the reason."""


def locust_command(first_users: int, html: Path) -> list[str]:
    """The command line; everything but the first level's users stands in the job."""
    return [
        *(sys.executable, "-m", "locust", "--locustfile", str(ROOT / "loadtest" / "locustfile.py")),
        *("--headless", "--users", str(first_users), "--spawn-rate", str(min(first_users, 100))),
        *("--html", str(html), "--only-summary", "--loglevel", "WARNING"),
        *("--exit-code-on-error", "0"),  # failed requests are a result, not a failure
    ]


def locust_environment(job: Job) -> dict[str, str]:
    """Our environment with the job in it, without Locust's own variables of the user's shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return kept | {"PYTHONPATH": path, JOB_VARIABLE: job.model_dump_json()}


def run_locust(
    job: Job,
    *,
    html: Path,
    log: Path,
    on_level: Callable[[LevelEnd, list[RequestRecord]], None],
) -> tuple[list[RequestRecord], list[LevelEnd]]:
    """Run all levels of one round; blocks until Locust ends.

    ``on_level`` gets every finished level with its records so far. Locust's log goes to ``log``,
    its own report to ``html``. The process runs outside our terminal's group, so that Ctrl-C
    reaches it through us alone, and is killed whenever this function is left.

    Raises:
        LoadTestError: Locust failed or ended early; the message holds the end of its log.
    """
    records: list[RequestRecord] = []
    levels: list[LevelEnd] = []
    with log.open("w") as log_stream:
        process = subprocess.Popen(
            locust_command(job.points[0].users, html),
            env=locust_environment(job),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_stream,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                message = decode(line)
                if isinstance(message, RequestRecord):
                    records.append(message)
                elif message is not None:
                    levels.append(message)
                    on_level(message, [r for r in records if r.point == message.point])
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
    if code != 0 or len(levels) != len(job.points):
        raise LoadTestError(f"{job.variant}: Locust ended with code {code}\n{log_tail(log)}")
    return records, levels
