"""One pass of lm-eval over one endpoint, in a process of its own.

The samples go to the job's file, events to whoever asked, and what lm-eval prints to the log. A
process of its own keeps lm-eval's globals, logging and offline switches (read at import) out of
ours.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from eval.lm_eval_answers import EndpointAnswerError
from eval.lm_eval_job import LM_EVAL, Event, Job
from eval.lm_eval_model import ContextTooShortError, EndpointModel
from eval.lm_eval_records import Records
from eval.lm_eval_samples import ROLLING, UnsupportedTaskError, to_samples, to_score
from eval.lm_eval_tasks import (
    Loaded,
    ask,
    count_items,
    end_plainly,
    load_tasks,
    places,
    traits_of,
)
from eval.samples import Sample, read_samples, write_samples
from eval.suite.offered import CHATS
from eval.task_refusals import incapable, unscorable
from eval.task_score import TaskScore
from quantize.jobs.job_server import BadRequest, serve

REPORT_EVERY_S = 1.0

Emit = Callable[[Event], None]


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


def make_model(job: Job, reporter: Reporter) -> EndpointModel:
    """The endpoint to ask.

    Raises:
        BadRequest: questions are to go through a chat template, and the model has none.
    """
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
    if job.apply_chat_template and not model.tokenizer.chat_template:
        raise BadRequest("quality.apply_chat_template: the model has no chat template")
    return model


def tell_sizes(job: Job, tasks: Mapping[str, Any], emit: Emit) -> None:
    """How many answers each task asks for that are right or wrong."""
    for name, task in tasks.items():
        if task.OUTPUT_TYPE != ROLLING:
            emit(Event(kind="asked", task=name, total=count_items(task, job.limit)))


def askable(job: Job, loaded: Loaded, default_answer: int, emit: Emit) -> list[str]:
    """The tasks that can be asked and scored; the others are refused by name, before any is."""
    found = []
    for name, task in loaded.tasks.items():
        traits = traits_of(task)
        reason = unscorable(
            traits,
            context_length=job.context_length,
            default_answer=default_answer,
            num_fewshot=examples(job, name),
        )
        reason = reason or incapable(traits.output_type, frozenset(job.capabilities))
        if reason is None:
            found.append(name)
        else:
            emit(Event(kind="refused", task=name, message=reason))
    for name, reason in loaded.missing.items():
        emit(Event(kind="failed", task=name, message=reason))
    return found


def run(job: Job, emit: Emit) -> None:
    """All tasks of a job, one after the other; samples are written after each.

    A task that cannot be scored is refused alone, and one that fails leaves the others.

    Raises:
        UnsupportedTaskError: a task is unknown, or a check finds none that can be asked.
        BadRequest: the model has no chat template.
    """
    reporter = Reporter(emit)
    loaded = load_tasks(
        job.tasks,
        job.tasks_dirs,
        bundled_only=job.bundled_only,
        drawn={"seed": job.seed, "limit": job.limit, "context_length": job.context_length},
    )
    model = make_model(job, reporter)
    names = askable(job, loaded, model.default_answer, emit)
    if not job.ask:
        if not names:
            raise UnsupportedTaskError("quality.tasks: none can be asked")
        tell_sizes(job, {name: loaded.tasks[name] for name in names}, emit)
        return
    samples = read_samples(Path(job.samples)) if job.keep else []
    records = Records(Path(job.samples), kept=job.keep)
    # Where nothing can be asked, that is a finished pass too.
    if not names:
        write_samples(Path(job.samples), samples)
    for name in names:
        reporter.begin(name)
        found = try_task(job, loaded, name, model, emit)
        if found is None:
            continue
        result, rows = found
        samples = replaced(samples, rows, whole=job.span_of(name) is None)
        records.add(name, result, loaded.tasks[name], whole=job.span_of(name) is None)
        write_samples(Path(job.samples), samples)
        score = to_score(
            [sample for sample in samples if sample.task == name],
            {
                **records.figures(name),
                "truncated_prompts": model.truncated,
                "vocabulary": model.vocabulary,
                "available_items": count_items(loaded.tasks[name], job.limit),
            },
        )
        emit(_finished(name, model, score, reporter))


def replaced(samples: Sequence[Sample], new: Sequence[Sample], *, whole: bool) -> list[Sample]:
    """All samples, those of ``new`` in place of earlier ones of its items, or of its whole task."""
    items = {(sample.task, None if whole else sample.item) for sample in new}
    kept = [it for it in samples if (it.task, None if whole else it.item) not in items]
    return [*kept, *new]


def try_task(
    job: Job, loaded: Loaded, name: str, model: EndpointModel, emit: Emit
) -> tuple[dict[str, Any], list[Sample]] | None:
    """Ask one task, or a stretch; what cannot be scored, or fails, is told and brings nothing."""
    task, chat = loaded.tasks[name], name in CHATS
    templated = job.apply_chat_template or (chat and bool(model.tokenizer.chat_template))
    if chat and not templated:
        end_plainly(task)
    span = job.span_of(name)
    try:
        result = ask(
            model,
            name,
            task,
            loaded.manager,
            limit=job.limit,
            documents=None if span is None else places(name, task, span, job.limit, job.seed),
            num_fewshot=examples(job, name),
            apply_chat_template=templated,
        )
        rows = result["samples"][name]
        return result, to_samples(name, task.OUTPUT_TYPE, rows, count_tokens=model.count_tokens)
    except (UnsupportedTaskError, ContextTooShortError) as error:
        emit(Event(kind="refused", task=name, message=str(error)))
    except (EndpointAnswerError, OSError, ClientError) as error:
        # The endpoint answered wrongly or not at all, or the disk is full.
        traceback.print_exc()
        told = str(error) if isinstance(error, EndpointAnswerError) else _named(error)
        emit(Event(kind="failed", task=name, message=told))
    return None


def examples(job: Job, task: str) -> int | None:
    """How many are put before a question; the suite's chats are of one turn."""
    return None if task in CHATS else job.num_fewshot


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _finished(name: str, model: EndpointModel, score: TaskScore, reporter: Reporter) -> Event:
    return Event(
        kind="task",
        task=name,
        done=model.done,
        total=model.total,
        score=score.with_details(seconds=reporter.seconds()),
        seconds=reporter.seconds(),
    )


def carry_out(job: Job, emit: Emit) -> None:
    """Run the job.

    Raises:
        BadRequest: a task is unknown, or the disk is full; in one line.
    """
    try:
        run(job, emit)
    except UnsupportedTaskError as error:
        raise BadRequest(str(error)) from None
    except OSError as error:
        traceback.print_exc()
        raise BadRequest(_named(error)) from None


if __name__ == "__main__":
    serve(LM_EVAL, carry_out)
