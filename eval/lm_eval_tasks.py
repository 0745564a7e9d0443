"""Tasks by name, and one task asked of one model; imported only where lm-eval is to run."""

from collections.abc import Sequence
from typing import Any, Protocol

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from eval.lm_eval_samples import UnsupportedTaskError, to_samples, to_score
from eval.samples import Sample
from eval.task_score import TaskScore


class CountingModel(Protocol):
    """What is needed of an lm-eval model beside lm-eval's own interface."""

    @property
    def truncated(self) -> int:
        """Prompts of the current task that did not fit."""
        ...

    def begin_task(self) -> None:
        """Forget the counts of the task before."""
        ...

    def count_tokens(self, context: str, continuation: str) -> int:
        """How many tokens of ``continuation`` are scored after ``context``."""
        ...


def load_tasks(
    names: Sequence[str], tasks_dir: str, *, bundled_only: bool
) -> tuple[TaskManager, dict[str, Any]]:
    """lm-eval's index, and its task objects by name, groups flattened; their data is read here.

    Raises:
        UnsupportedTaskError: no such task, or its data cannot be had.
    """
    # lm-eval's own 14,000 tasks take seconds to index: not for the bundled ones alone.
    manager = TaskManager(include_path=tasks_dir, include_defaults=not bundled_only)
    unknown = [name for name in names if name not in manager.task_index]
    if unknown:
        raise UnsupportedTaskError(f"quality.tasks: lm-eval knows no task {', '.join(unknown)}")
    try:
        loaded: dict[str, Any] = manager.load(list(names))["tasks"]
    except OSError as error:
        # The hub's errors are OSErrors too.
        raise UnsupportedTaskError(f"quality.tasks: the data cannot be had: {error}") from error
    return manager, loaded


def ask(
    model: CountingModel, name: str, task: Any, manager: TaskManager, limit: int | None
) -> tuple[list[Sample], TaskScore]:
    """Ask one task and score it; ``limit`` caps its items."""
    model.begin_task()
    # Without its manager lm-eval would index its own 14,000 tasks again, for every task.
    result = simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
    )
    samples = to_samples(
        name, task.OUTPUT_TYPE, result["samples"][name], count_tokens=model.count_tokens
    )
    figures = {**result["results"][name], "truncated_prompts": model.truncated}
    return samples, to_score(samples, figures)
