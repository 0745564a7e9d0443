"""One pass of lm-eval over one endpoint, in a process of its own.

The samples go to the job's file, events to whoever asked, and what lm-eval prints to the log. A
process of its own keeps lm-eval's globals, logging and offline switches (read at import) out of
ours.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from eval.lm_eval_job import LM_EVAL, Event, Job
from eval.lm_eval_model import EndpointAnswerError, EndpointModel
from eval.lm_eval_samples import UnsupportedTaskError
from eval.lm_eval_tasks import ask, load_tasks
from eval.samples import Sample, write_samples
from quantize.jobs.job_server import BadRequest, serve

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


def carry_out(job: Job, emit: Emit) -> None:
    """Run the job.

    Raises:
        BadRequest: a task cannot be asked, or the endpoint does not answer as it must; in one line.
    """
    try:
        run(job, emit)
    except (UnsupportedTaskError, EndpointAnswerError) as error:
        raise BadRequest(str(error)) from None
    except OSError as error:
        # The endpoint went away, or the disk is full.
        traceback.print_exc()
        raise BadRequest(f"{type(error).__name__}: {error}") from None


if __name__ == "__main__":
    serve(LM_EVAL, carry_out)
