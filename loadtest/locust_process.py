"""Has Locust carry out one round in a process of its own, and collects what it tells."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loadtest.job import KEY_VARIABLE, LOAD, Job, Leg, LegBegin, LegEnd, LegQuiet, RequestEnd
from loadtest.neighbours import Look, NeighbourWatch
from loadtest.records import RequestRecord
from quantize.jobs.failure import ToolError
from quantize.jobs.log_tail import log_tail
from quantize.jobs.worker import Worker
from quantize.root import ROOT


class LoadTestError(RuntimeError):
    """A load test that could not be done; the message names the variant and the reason."""

    def __init__(self, message: str, *, variant: str = "") -> None:
        super().__init__(message)
        self.variant = variant


def locust_words(first_users: int, html: Path, processes: int) -> tuple[str, ...]:
    """Locust's own options; everything but the first leg's users stands in the job."""
    return (
        *(_as_workers(processes) if processes > 1 else ()),
        *("--locustfile", str(ROOT / "loadtest" / "locustfile.py"), "--headless"),
        *("--users", str(first_users), "--spawn-rate", str(min(first_users, 100))),
        *("--html", str(html), "--only-summary", "--loglevel", "WARNING"),
        *("--exit-code-on-error", "0"),  # failed requests are a result, not a failure
    )


def _as_workers(processes: int) -> tuple[str, ...]:
    """A master and so many workers, which nobody but this machine can reach."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    return (
        *("--processes", str(processes), "--master-bind-host", "127.0.0.1"),
        *("--master-bind-port", port, "--master-host", "127.0.0.1", "--master-port", port),
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
    on_leg: Callable[[LegEnd, list[RequestRecord]], None],
    watch: NeighbourWatch | None = None,
    key: str | None = None,
    on_turn: Callable[[str | None], None] = lambda _: None,
) -> None:
    """Run all legs of a job; blocks until Locust ends.

    ``on_leg`` gets every finished leg with its records; where there is a ``watch``, the leg says
    what other programs used meanwhile. What Locust prints is added to ``log``, its own report goes
    to ``html``. Requests are sent with ``key``, if it is not the one of our own endpoints.

    ``on_turn`` gets the variant whose window opens, and None when it is over.

    Raises:
        LoadTestError: Locust failed or ended early; the message holds the end of its log, and
            ``variant`` is whose turn it was.
    """
    records: list[RequestRecord] = []
    look: Look | None = None
    seen: dict[str, float] = {}
    left = list(job.legs)
    module = replace(LOAD, words=locust_words(left[0].point.users, html, job.processes))
    with Worker() as worker:
        try:
            variables = locust_environment() | ({} if key is None else {KEY_VARIABLE: key})
            for message in worker.hear(module, job, log=log, variables=variables):
                if isinstance(message, RequestEnd):
                    records.append(message.record)
                elif isinstance(message, LegBegin):
                    look = watch.look() if watch else None
                    on_turn(message.leg.variant)
                elif isinstance(message, LegQuiet):
                    on_turn(None)
                    seen = _seen(watch, look)
                elif message is not None:
                    left.remove(message.leg)
                    end = message.level.model_copy(update=seen)
                    on_leg(message.model_copy(update={"level": end}), _of(message.leg, records))
        except ToolError as error:
            variant = (left or job.legs)[0].variant
            words = f"{variant}: Locust ended early: {error}"
            raise LoadTestError(words, variant=variant) from None
    if left:
        words = f"{left[0].variant}: Locust left legs out\n{log_tail(log)}"
        raise LoadTestError(words, variant=left[0].variant)


def _seen(watch: NeighbourWatch | None, look: Look | None) -> dict[str, float]:
    """What the processors did since a look: others' share, and our own."""
    if watch is None or look is None:
        return {}
    return {
        "neighbour_share": watch.share_since(look),
        "own_cores": watch.own_cores_since(look),
    }


def _of(leg: Leg, records: list[RequestRecord]) -> list[RequestRecord]:
    return [r for r in records if (r.variant, r.point) == (leg.variant, leg.point)]
