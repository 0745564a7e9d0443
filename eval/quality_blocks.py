"""Questions in blocks: every variant is asked the same sequence until it is decided, no further.

After each block the samples on the disk are compared as the verdict will compare them, and what
they leave open is asked on (``decision/enough.py``). The baseline is asked what others need of it;
where it is not served with them, all that the plan allows. Nothing but the samples is remembered,
so a run that was broken off goes on where it was, and a block that fails takes nothing from those
before it. When the baseline's second pass has shown how
noisy it is, what that left open is asked on as well; where one variant is served at a time, that
waits for the next run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from eval.decision.enough import last_bound, next_bound
from eval.lm_eval_process import Answer, QualityError, run_job
from eval.quality_ends import available_items
from eval.quality_files import pass_paths
from eval.quality_ground import QuestionsGround
from eval.schema import QualityFile
from eval.stopped_words import stopped_line
from eval.task_score import TaskScore
from eval.turns import Pass, pass_label
from quantize.jobs.whole_file import write_whole
from quantize.jobs.worker import Worker
from quantize.validity.made_from import key_of, what_changed

Spans = dict[str, tuple[int, int]]


@dataclass(kw_only=True)
class _Given:
    """What was asked in this stage: of ``silent`` tasks a block brought nothing."""

    blocks: int = 0
    silent: set[str] = field(default_factory=set)


class Blocks:
    """The stage; one process asks all of it."""

    def __init__(self, ground: QuestionsGround, worker: Worker) -> None:
        self._ground = ground
        self._worker = worker
        self._given: dict[Pass, _Given] = {}
        self._broken: set[str] = set()
        self._alone = False

    def ask(self, passes: Sequence[Pass]) -> dict[str, QualityFile]:
        """Make these passes; returns each variant's first.

        Raises:
            QualityError: a pass of the baseline failed.
        """
        self._alone = {name for name, _ in passes} == {self._ground.plan.baseline}
        for one in passes:
            self._greet(one)
        while sum([self._go_on(one) for one in passes]):
            pass
        for one in passes:
            self._say_how_it_ended(one)
        found = {
            name: self._ground.state((name, False))
            for name, _ in passes
            if name not in self._broken
        }
        return {name: state for name, state in found.items() if state is not None}

    def _greet(self, one: Pass) -> None:
        """Forget a pass that was made of something else, and say so."""
        self._given[one] = _Given()
        stored, inputs = self._ground.state(one), self._ground.inputs(*one)
        if stored is not None and stored.inputs_sha256 != key_of(inputs):
            why = what_changed(stored.made_from, inputs)
            self._ground.tell(f"{pass_label(one)}: asked again: {why}")
            for path in pass_paths(self._ground.run_dir, *one):
                path.unlink()

    def _go_on(self, one: Pass) -> bool:
        """Ask a pass as far as it is open; whether anything was asked."""
        before = self._given[one].blocks
        while one[0] not in self._broken and self._next(one):
            pass
        return self._given[one].blocks > before

    def _next(self, one: Pass) -> bool:
        """Ask the next block of a pass; False where none is needed."""
        state = self._ground.state(one)
        if state is None:
            return self._block(one, self._ground.plan.quality.tasks, {})
        spans = self._again(one, state) or self._open(one, state)
        if not spans:
            return False
        if one[0] != self._ground.plan.baseline:
            self._extend_baseline(spans)
        return self._block(one, list(spans), spans)

    def _again(self, one: Pass, state: QualityFile) -> Spans:
        """The stretches that failed, or that a break left without their score."""
        tried, asked = self._given[one].silent, self._ground.samples(*one)
        items = {task: score.items for task, score in state.tasks.items()}
        torn = [task for task, count in items.items() if len(asked.get(task, ())) > count]
        again = [task for task in (*state.failed_tasks, *torn) if task not in tried]
        return {task: _span(items.get(task, 0)) for task in again}

    def _open(self, one: Pass, state: QualityFile) -> Spans:
        """The next stretch of each task that is not decided yet."""
        name, repeat = one
        tried = self._given[one].silent
        tasks = {task: score for task, score in state.tasks.items() if task not in tried}
        if name == self._ground.plan.baseline and not repeat:
            # Others say how far, where they are there.
            wanted = {task: available_items(it) for task, it in tasks.items() if self._alone}
            return {t: _span(tasks[t].items) for t, end in wanted.items() if tasks[t].items < end}
        results = self._ground.results(one, state)
        stopped = self._ground.stopped(one, state, results)
        return {
            task: _span(tasks[task].items)
            for task, result in results.items()
            # Where the baseline could not be asked as much, there is nothing to compare more with.
            if task in tasks and task not in stopped and tasks[task].items <= result.items
        }

    def _extend_baseline(self, spans: Spans) -> None:
        """Ask the baseline first what a variant is to be asked next."""
        one = (self._ground.plan.baseline, False)
        if one not in self._given:
            return
        while (state := self._ground.state(one)) is not None:
            short = {
                task: _span(score.items)
                for task, score in state.tasks.items()
                if task in spans and score.items < min(spans[task][1], available_items(score))
            }
            tried = self._given[one].silent
            short = {task: span for task, span in short.items() if task not in tried}
            if not short:
                return
            self._block(one, list(short), short)

    def _block(self, one: Pass, tasks: Sequence[str], spans: Spans) -> bool:
        """Ask one stretch of some tasks, and keep what it brought; False where that broke off."""
        given, state = self._given[one], self._ground.state(one)
        started = time.monotonic()
        given.blocks += 1
        answer = self._answer(one, tasks, spans, kept=state is not None)
        if answer is None:
            return False
        given.silent |= {*answer.failed, *tasks} - answer.scores.keys()
        for word, reasons in (("FAILED", answer.failed), ("refused", answer.refused)):
            for task, why in reasons.items():
                self._ground.tell(f"{pass_label(one)}: {task}: {word}, {why}")
        self._keep(one, tasks, state, answer, time.monotonic() - started)
        return True

    def _answer(
        self, one: Pass, tasks: Sequence[str], spans: Spans, *, kept: bool
    ) -> Answer | None:
        """What lm-eval says of a stretch; None where it was the first and brought nothing.

        Raises:
            QualityError: the baseline broke off.
        """
        update = {"tasks": tuple(tasks), "span": _span(0), "spans": spans, "keep": kept}
        job = self._ground.job(*one).model_copy(update=update)
        scores, _ = pass_paths(self._ground.run_dir, *one)
        scores.parent.mkdir(parents=True, exist_ok=True)
        try:
            return run_job(
                job,
                log=scores.with_suffix(".log"),
                cache=self._ground.run_dir / ".datasets",
                label=pass_label(one),
                tell=lambda _: None,
                worker=self._worker,
            )
        except QualityError as error:
            if one[0] == self._ground.plan.baseline:
                raise
            if kept:
                words = str(error).removeprefix(f"{pass_label(one)}: ")
                return Answer(failed=dict.fromkeys(tasks, words))
            self._broken.add(one[0])
            self._ground.fail(one[0], str(error))
            return None

    def _keep(
        self,
        one: Pass,
        tasks: Sequence[str],
        before: QualityFile | None,
        answer: Answer,
        seconds: float,
    ) -> None:
        """Write ``quality.json``, which is whole after every block."""
        health, inputs = self._ground.healths[one[0]], self._ground.inputs(*one)
        known = before.tasks if before else {}
        failed = before.failed_tasks if before else {}
        result = QualityFile(
            variant=one[0],
            inputs_sha256=key_of(inputs),
            made_from=inputs,
            artifact_sha256=health.artifact_sha256,
            engine_version=health.engine_version,
            seconds=seconds + (before.seconds if before else 0.0),
            tasks={**known, **{t: joined(known.get(t), it) for t, it in answer.scores.items()}},
            refused_tasks={**(before.refused_tasks if before else {}), **answer.refused},
            failed_tasks={
                **{task: why for task, why in failed.items() if task not in tasks},
                **answer.failed,
            },
            agreement=health.agreement,
            anytime=True,
        )
        scores, _ = pass_paths(self._ground.run_dir, *one)
        write_whole(scores, result.model_dump_json(indent=2))

    def _say_how_it_ended(self, one: Pass) -> None:
        state = self._ground.state(one)
        if state is None or one[0] in self._broken:
            return
        if not self._given[one].blocks:
            self._ground.tell(f"{pass_label(one)}: quality is up to date")
            return
        is_first = one == (self._ground.plan.baseline, False)
        results = {} if is_first else self._ground.results(one, state)
        stopped = self._ground.stopped(one, state, results)
        for task, score in state.tasks.items():
            result = results.get(task)
            told = stopped_line(score, available_items(score), result, stopped.get(task))
            self._ground.tell(f"{pass_label(one)}: {task}: {told}")


def joined(earlier: TaskScore | None, score: TaskScore) -> TaskScore:
    """The score of all stretches, with what each of them cost."""
    if earlier is None:
        return score
    summed = {
        name: earlier.details.get(name, 0.0) + score.details.get(name, 0.0)
        for name in ("seconds", "truncated_prompts")
    }
    return score.with_details(**summed)


def _span(asked: int) -> tuple[int, int]:
    """The next block after so many items, from the bound that they reach."""
    return last_bound(asked), next_bound(asked)
