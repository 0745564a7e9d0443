"""Tasks by name, and one task asked of one model; imported only where lm-eval is to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from eval.lm_eval_samples import ROLLING, UnsupportedTaskError
from eval.suite.offered import ENDLESS, PLAIN_ENDING, SUITE
from eval.task_refusals import TaskTraits


class CountingModel(Protocol):
    """What is needed of an lm-eval model beside lm-eval's own interface."""

    @property
    def truncated(self) -> int:
        """Prompts of the current task that did not fit."""
        ...

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        ...

    def begin_task(self) -> None:
        """Forget the counts of the task before."""
        ...

    def count_tokens(self, context: str, continuation: str) -> int:
        """How many tokens of ``continuation`` are scored after ``context``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """lm-eval's index, its task objects by name, and why the data of others cannot be had."""

    manager: TaskManager
    tasks: Mapping[str, Any]
    missing: Mapping[str, str]


def load_tasks(
    names: Sequence[str],
    tasks_dirs: Sequence[str],
    *,
    bundled_only: bool,
    drawn: Mapping[str, object] | None = None,
) -> Loaded:
    """The tasks with their data, groups flattened; ``drawn`` says which instance the suite's are.

    Raises:
        UnsupportedTaskError: no such task.
    """
    # lm-eval's own 14,000 tasks take seconds to index: not for the bundled ones alone.
    manager = TaskManager(include_path=list(tasks_dirs), include_defaults=not bundled_only)
    suite = TaskManager(include_path=list(tasks_dirs), include_defaults=False, metadata=drawn or {})
    unknown = [name for name in names if name not in manager.task_index]
    if unknown:
        raise UnsupportedTaskError(f"quality.tasks: lm-eval knows no task {', '.join(unknown)}")
    tasks: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            tasks |= (suite if name in SUITE else manager).load([name])["tasks"]
        except OSError as error:
            # The hub's errors are OSErrors too.
            missing[name] = f"its data cannot be had: {error}"
    return Loaded(manager=manager, tasks=tasks, missing=missing)


def end_plainly(task: Any) -> None:
    """End a chat's question as a text does, for a model that goes on writing."""
    task.config.doc_to_text += PLAIN_ENDING


def count_items(task: Any, limit: int | None) -> int:
    """How many questions a task is asked by."""
    items = len(task.eval_docs)
    return items if limit is None else min(items, limit)


def places(name: str, task: Any, span: tuple[int, int], limit: int | None, seed: int) -> list[int]:
    """Which documents a stretch of a task's sequence holds, ascending (as lm-eval wants them).

    The sequence is drawn by ``seed`` over the whole task, as a task's file may be sorted, and is
    the same for every variant; ``limit`` cuts it. What is drawn without end comes in its own order.
    """
    count = len(task.eval_docs)
    numbers = list(range(count))
    if name not in ENDLESS:
        numbers = Random(f"{name} {seed}").sample(numbers, count)
    return sorted(numbers[:limit][slice(*span)])


def traits_of(task: Any) -> TaskTraits:
    """What decides whether a task of lm-eval can be asked and scored."""
    own = task.config
    return TaskTraits(
        output_type=task.OUTPUT_TYPE,
        metrics=tuple(task.aggregation()),
        generation=own.generation_kwargs or {},
        examples=bool(own.fewshot_split or own.training_split or own.validation_split),
    )


def ask(
    model: CountingModel,
    name: str,
    task: Any,
    manager: TaskManager,
    *,
    limit: int | None,
    documents: list[int] | None = None,
    num_fewshot: int | None = None,
    apply_chat_template: bool = False,
) -> dict[str, Any]:
    """Ask one task; returns what lm-eval says of it.

    ``limit`` caps its items; ``documents`` are those that are asked, where not all.
    """
    # Of an empty list lm-eval would ask everything.
    assert documents is None or documents
    model.begin_task()
    if num_fewshot is not None and task.OUTPUT_TYPE != ROLLING:
        # Set here because lm-eval passes over the wish where a task says 0 itself.
        task.set_config(key="num_fewshot", value=num_fewshot)
    # Without its manager lm-eval would index its own 14,000 tasks again, for every task.
    result: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        limit=limit if documents is None else None,
        samples=None if documents is None else {name: documents},
        apply_chat_template=apply_chat_template,
        bootstrap_iters=0,
        log_samples=True,
    )
    return result
