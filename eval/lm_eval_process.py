"""Has ``eval.lm_eval_runner`` make a pass in a process of its own, and tells its progress."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from eval.lm_eval_job import LM_EVAL, Event, Job
from eval.task_score import TaskScore
from quantize.jobs.failure import RefusedError, ToolError
from quantize.jobs.surroundings import direct, somebody, stated
from quantize.jobs.worker import Worker

TELL_EVERY_S = 10.0


class QualityError(ValueError):
    """A quality pass that could not be made; the message names the variant and the log."""


@dataclass(kw_only=True)
class Answer:
    """What a pass brought: scores by task, why a task was refused, and why one failed.

    ``items`` are the sizes of tasks that were only checked.
    """

    scores: dict[str, TaskScore] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def _environment(job: Job, cache: Path) -> dict[str, str]:
    """Quiet and, for our own tasks, cut off from the network and from the user's data cache."""
    host = urlsplit(job.url).hostname or ""
    extra = {
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_MININTERVAL": "10",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **direct(os.environ, host),
    }
    if job.bundled_only:
        extra |= {
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_DATASETS_CACHE": str(cache),
        }
    return {**stated(os.environ), **somebody(os.environ, cache), **extra}


def _rate(event: Event) -> str:
    return f"{event.done / event.seconds:,.0f} prompts/s" if event.seconds > 0 else ""


def finished_line(label: str, event: Event) -> str:
    """One finished task in words."""
    assert event.score is not None
    unit = {"accuracy": "accuracy", "nll_per_token": "nats per token"}[event.score.metric]
    return (
        f"{label}: {event.task}: {event.score.value:.4f} {unit}, {event.score.items:,} items "
        f"in {event.seconds:.0f} s ({_rate(event)})"
    )


def follow(
    events: Iterable[Event | None],
    answer: Answer,
    label: str,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Collect a pass from its events; tells a line per finished task and one every 10 s.

    (None among the events is a moment without any.) What came before an error is in ``answer``.
    """
    last = clock()
    for event in filter(None, events):
        match event.kind:
            case "progress":
                if clock() - last >= TELL_EVERY_S:
                    last = clock()
                    tell(
                        f"{label}: {event.task}: {event.done:,} of {event.total:,} prompts, "
                        f"{event.seconds:.0f} s ({_rate(event)})"
                    )
            case "task":
                assert event.score is not None
                answer.scores[event.task] = event.score
                last = clock()
                tell(finished_line(label, event))
            case "asked":
                answer.items[event.task] = event.total
            case "refused":
                answer.refused[event.task] = event.message
                tell(f"{label}: {event.task}: refused, {event.message}")
            case "failed":
                answer.failed[event.task] = event.message
                tell(f"{label}: {event.task}: FAILED, {event.message}")


def run_job(
    job: Job,
    *,
    log: Path,
    cache: Path,
    label: str,
    tell: Callable[[str], None],
    worker: Worker | None = None,
) -> Answer:
    """Run one pass to its end. Blocks; what lm-eval prints goes to ``log``.

    Where some tasks finished before the process broke off, the others have failed. ``worker``
    keeps its process for the next pass.

    Raises:
        QualityError: no task finished and not all were refused, or the job itself was.
    """
    if not job.keep:
        log.write_bytes(b"")
    answer = Answer()
    with nullcontext(worker) if worker is not None else Worker() as asked:
        events = asked.hear(LM_EVAL, job, log=log, variables=_environment(job, cache))
        try:
            follow(events, answer, label, tell)
        except RefusedError as error:
            raise QualityError(f"{label}: {error.words} (log: {log})") from None
        except ToolError as error:
            words = f"lm-eval ended early: {error}"
            told = {*answer.scores, *answer.refused}
            answer.failed |= dict.fromkeys([t for t in job.tasks if t not in told], words)
            tell(f"{label}: FAILED, {words}")
    if job.ask and answer.failed and not answer.scores:
        task, words = next(iter(answer.failed.items()))
        raise QualityError(f"{label}: {task}: {words} (log: {log})")
    return answer
