"""Runs ``eval.lm_eval_runner`` as a process that never outlives us, and tells its progress."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from eval.lm_eval_job import Event, Job
from eval.schema import TaskScore
from quantize.jobs.lifeline import guarded
from quantize.root import ROOT

TELL_EVERY_S = 10.0
COMMAND = (sys.executable, "-m", "eval.lm_eval_runner")


class QualityError(ValueError):
    """A quality pass that could not be made; the message names the variant and the log."""


@dataclass(kw_only=True)
class Answer:
    """What a pass brought: scores by task, and why a task was refused."""

    scores: dict[str, TaskScore] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    finished: bool = False


def _environment(job: Job, cache: Path) -> dict[str, str]:
    """Quiet and, for our own tasks, cut off from the network and from the user's data cache."""
    host = urlsplit(job.url).hostname or ""
    extra = {
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_MININTERVAL": "10",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # The endpoint is not to be asked through the proxy of the user's shell.
        "NO_PROXY": ",".join(part for part in (os.environ.get("NO_PROXY"), host) if part),
    }
    if job.bundled_only:
        extra |= {
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_DATASETS_CACHE": str(cache),
        }
    return {**os.environ, **extra}


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
    events: Iterable[Event],
    label: str,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Collect a pass from its events; tells a line per finished task and one every 10 s."""
    answer, last = Answer(), clock()
    for event in events:
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
            case "refused":
                answer.refused[event.task] = event.message
                tell(f"{label}: {event.task}: refused, {event.message}")
            case "error":
                answer.error = event.message
            case "finished":
                answer.finished = True
    return answer


def run_job(
    job: Job,
    *,
    log: Path,
    cache: Path,
    label: str,
    tell: Callable[[str], None],
    command: tuple[str, ...] = COMMAND,
) -> Answer:
    """Run one pass to its end. Blocks; what lm-eval prints goes to ``log``.

    Raises:
        QualityError: the pass did not finish.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            guarded(command),
            cwd=ROOT,
            env=_environment(job, cache),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            start_new_session=True,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(job.model_dump_json())
            process.stdin.close()
            events = (Event.model_validate_json(line) for line in process.stdout)
            answer = follow(events, label, tell)
            code = process.wait()
        finally:
            # Its guard stops the whole process group; harmless after a normal end.
            process.terminate()
            process.wait()
            process.stdout.close()
    if answer.error is not None:
        raise QualityError(f"{label}: {answer.error} (log: {log})")
    if not answer.finished:
        raise QualityError(f"{label}: lm-eval ended early with exit code {code}; see {log}")
    return answer
