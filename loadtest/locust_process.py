"""Has Locust carry out one round in a process of its own, and collects what it tells."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loadtest.job import LOAD, Job, LevelEnd, RequestEnd
from loadtest.records import RequestRecord
from quantize.jobs.failure import ToolError
from quantize.jobs.log_tail import log_tail
from quantize.jobs.worker import Worker
from quantize.root import ROOT


class LoadTestError(RuntimeError):
    """A load test that could not be done; the message names the variant and the reason."""


def locust_words(first_users: int, html: Path) -> tuple[str, ...]:
    """Locust's own options; everything but the first level's users stands in the job."""
    return (
        *("--locustfile", str(ROOT / "loadtest" / "locustfile.py"), "--headless"),
        *("--users", str(first_users), "--spawn-rate", str(min(first_users, 100))),
        *("--html", str(html), "--only-summary", "--loglevel", "WARNING"),
        *("--exit-code-on-error", "0"),  # failed requests are a result, not a failure
    )


def locust_environment() -> dict[str, str]:
    """Our environment without Locust's own variables of the user's shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return kept | {"PYTHONPATH": path}


def run_locust(
    job: Job,
    *,
    html: Path,
    log: Path,
    on_level: Callable[[LevelEnd, list[RequestRecord]], None],
) -> tuple[list[RequestRecord], list[LevelEnd]]:
    """Run all levels of one round; blocks until Locust ends.

    ``on_level`` gets every finished level with its records so far. What Locust prints goes to
    ``log``, its own report to ``html``.

    Raises:
        LoadTestError: Locust failed or ended early; the message holds the end of its log.
    """
    records: list[RequestRecord] = []
    levels: list[LevelEnd] = []
    log.write_bytes(b"")
    module = replace(LOAD, words=locust_words(job.points[0].users, html))
    with Worker() as worker:
        try:
            for message in worker.hear(module, job, log=log, variables=locust_environment()):
                if isinstance(message, RequestEnd):
                    records.append(message.record)
                elif message is not None:
                    levels.append(message)
                    on_level(message, [r for r in records if r.point == message.point])
        except ToolError as error:
            raise LoadTestError(f"{job.variant}: Locust ended early: {error}") from None
    if len(levels) != len(job.points):
        raise LoadTestError(f"{job.variant}: Locust left levels out\n{log_tail(log)}")
    return records, levels
