"""What the process that runs lm-eval is asked, and what it tells; known on both sides of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval.task_score import TaskScore
from quantize.jobs.job_module import JobModule


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(_Message):
    """Everything that one pass needs; ``limit`` caps the items per task.

    ``num_fewshot``, ``apply_chat_template`` and ``seed`` are the plan's. The answers to other tasks
    that lie at ``samples`` are kept with ``keep``. Without ``ask`` tasks are only loaded and
    checked.

    With a ``span`` only that stretch of each task's sequence is asked, from the first number up to
    before the second; ``spans`` are those of single tasks. What other stretches brought is kept.

    A request is sent up to ``tries`` times. lm-eval waits 1, 1, 2, 4 and 8 s between six: enough
    for a full queue (429) to drain.
    """

    variant: str
    url: str
    tokenizer: str
    tasks: tuple[str, ...]
    tasks_dirs: tuple[str, ...]
    bundled_only: bool
    limit: int | None
    num_fewshot: int | None = None
    apply_chat_template: bool = False
    seed: int = 0
    concurrency: int
    batch_size: int
    context_length: int
    request_timeout_s: float
    tries: int = 6
    capabilities: tuple[str, ...]
    samples: str
    keep: bool = False
    span: tuple[int, int] | None = None
    spans: dict[str, tuple[int, int]] = {}
    ask: bool = True

    def span_of(self, task: str) -> tuple[int, int] | None:
        """The stretch of a task that is to be asked; None for all of it."""
        return self.spans.get(task, self.span)


class Event(_Message):
    """Something that came of a pass. ``kind`` says which of the other fields are set.

    A task is ``refused`` that cannot be asked or scored, whoever tries again; it has ``failed``
    where another try may do better; it is ``asked`` of ``total`` items where it is only checked.
    Else ``total`` and ``done`` count prompts; ``seconds`` is the time the task has taken so far.
    """

    kind: Literal["progress", "task", "asked", "refused", "failed"]
    task: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""
    score: TaskScore | None = None


LM_EVAL = JobModule(
    module="eval.lm_eval_runner",
    environment=None,
    request=Job,
    tells=(Event,),
    reply=type(None),
)
