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
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from eval.lm_eval_job import Event, Job
from eval.lm_eval_model import EndpointAnswerError, EndpointModel
from eval.lm_eval_samples import UnsupportedTaskError, to_samples, to_score
from eval.samples import Sample, write_samples
from eval.schema import TaskScore

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


def load_tasks(job: Job) -> tuple[TaskManager, dict[str, Any]]:
    """lm-eval's index, and its task objects by name, groups flattened; their data is read here.

    Raises:
        UnsupportedTaskError: no such task, or its data cannot be had.
    """
    # lm-eval's own 14,000 tasks take seconds to index: not for the bundled ones alone.
    manager = TaskManager(include_path=job.tasks_dir, include_defaults=not job.bundled_only)
    unknown = [name for name in job.tasks if name not in manager.task_index]
    if unknown:
        raise UnsupportedTaskError(f"quality.tasks: lm-eval knows no task {', '.join(unknown)}")
    try:
        loaded: dict[str, Any] = manager.load(list(job.tasks))["tasks"]
    except OSError as error:
        # The hub's errors are OSErrors too.
        raise UnsupportedTaskError(f"quality.tasks: the data cannot be had: {error}") from error
    return manager, loaded


def ask(
    model: EndpointModel, name: str, task: Any, manager: TaskManager, job: Job
) -> tuple[list[Sample], TaskScore]:
    """Ask one task and score it."""
    model.begin_task()
    # Without its manager lm-eval would index its own 14,000 tasks again, for every task.
    result = simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        limit=job.limit,
        bootstrap_iters=0,
        log_samples=True,
    )
    samples = to_samples(
        name, task.OUTPUT_TYPE, result["samples"][name], count_tokens=model.count_tokens
    )
    figures = {**result["results"][name], "truncated_prompts": model.truncated}
    return samples, to_score(samples, figures)


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
    manager, tasks = load_tasks(job)
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
        rows, score = ask(model, name, task, manager, job)
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
