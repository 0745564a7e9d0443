"""One pass of lm-eval over one endpoint, in a process of its own.

``python -m eval.lm_eval_runner`` reads one ``Job`` as JSON from standard input, writes the samples
to the job's file and answers with one JSON line per event on standard output; everything lm-eval
prints goes to standard error. A process of its own keeps lm-eval's globals, logging and offline
switches (read at import) out of ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from eval.lm_eval_job import Event, Job
from eval.lm_eval_model import EndpointAnswerError, EndpointModel
from eval.lm_eval_samples import UnsupportedTaskError
from eval.lm_eval_tasks import ask, load_tasks
from eval.samples import Sample, write_samples

REPORT_EVERY_S = 1.0

NEEDS: Mapping[str, frozenset[str]] = {
    "multiple_choice": frozenset({"echo_logprobs", "token_ids"}),
    "loglikelihood": frozenset({"echo_logprobs", "token_ids"}),
    "loglikelihood_rolling": frozenset({"echo_logprobs", "token_ids"}),
    "generate_until": frozenset({"token_ids", "stop"}),
}
"""What an endpoint must be able to do for each of lm-eval's request types."""


Emit = Callable[[Event], None]


def refusal(output_type: str, capabilities: frozenset[str]) -> str | None:
    """Why a task cannot be asked of an endpoint; None when it can."""
    if output_type not in NEEDS:
        return f"requests of type {output_type} cannot be sent to a completions endpoint"
    missing = sorted(NEEDS[output_type] - capabilities)
    return f"the endpoint cannot do {', '.join(missing)}" if missing else None


class Reporter:
    """Sends progress of the current task, at most once in ``REPORT_EVERY_S``."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.begin("")

    def begin(self, task: str) -> None:
        """Start the clock of a task."""
        self._task, self._start, self._last = task, time.monotonic(), time.monotonic()

    def seconds(self) -> float:
        """Time since the task began."""
        return time.monotonic() - self._start

    def progress(self, done: int, total: int) -> None:
        """Report prompts answered out of prompts asked."""
        if time.monotonic() - self._last >= REPORT_EVERY_S:
            self._last = time.monotonic()
            self._emit(
                Event(
                    kind="progress",
                    task=self._task,
                    done=done,
                    total=total,
                    seconds=self.seconds(),
                )
            )


def run(job: Job, emit: Emit) -> None:
    """All tasks of a job, one after the other; samples are written once, at the end.

    Raises:
        UnsupportedTaskError: a task is unknown or has no score that we can compare.
    """
    reporter = Reporter(emit)
    manager, tasks = load_tasks(job.tasks, job.tasks_dir, bundled_only=job.bundled_only)
    model = EndpointModel(
        base_url=job.url,
        served_name=job.variant,
        tokenizer=job.tokenizer,
        concurrency=job.concurrency,
        batch_size=job.batch_size,
        context_length=job.context_length,
        request_timeout_s=job.request_timeout_s,
        tries=job.tries,
        progress=reporter.progress,
    )
    samples: list[Sample] = []
    for name, task in tasks.items():
        reason = refusal(task.OUTPUT_TYPE, frozenset(job.capabilities))
        if reason is not None:
            emit(Event(kind="refused", task=name, message=reason))
            continue
        reporter.begin(name)
        rows, score = ask(model, name, task, manager, job.limit)
        samples.extend(rows)
        emit(
            Event(
                kind="task",
                task=name,
                done=model.done,
                total=model.total,
                score=score,
                seconds=reporter.seconds(),
            )
        )
    write_samples(Path(job.samples), samples)
    emit(Event(kind="finished"))


def main() -> int:
    """Read the job, keep standard output for events alone, and say errors in one line."""
    job = Job.model_validate(json.load(sys.stdin))
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(event: Event) -> None:
        events.write(event.model_dump_json() + "\n")
        events.flush()

    try:
        run(job, emit)
    except (UnsupportedTaskError, EndpointAnswerError) as error:
        emit(Event(kind="error", message=str(error)))
        return 2
    except OSError as error:
        # The endpoint went away, or the disk is full.
        emit(Event(kind="error", message=f"{type(error).__name__}: {error}"))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
