"""What the passes of a quality stage share, and how far each of them stands.

Read from the disk alone, so what is said after a break is what would have been said without one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.plan import Plan
from eval.decision.enough import stops
from eval.lm_eval_job import Job
from eval.quality_ends import available_items
from eval.quality_files import pass_paths, stored_pass
from eval.quality_job import made_from, make_job
from eval.samples import by_task, read_samples
from eval.schema import QualityFile, Stopped, TaskComparison
from eval.task_ground import Samples, find_ground
from eval.turns import Pass
from loadtest.endpoint import ReadyHealth


@dataclass(frozen=True, kw_only=True)
class QuestionsGround:
    """What all passes of a stage share; ``compared`` variants stand against the baseline."""

    plan: Plan
    run_dir: Path
    address: str
    tokenizer: Path
    tasks_dir: Path
    healths: Mapping[str, ReadyHealth]
    compared: int
    tell: Callable[[str], None]
    fail: Callable[[str, str], None]

    def job(self, name: str, repeat: bool) -> Job:
        """What a whole pass would be told."""
        _, samples = pass_paths(self.run_dir, name, repeat)
        capabilities = self.healths[name].capabilities
        return make_job(
            self.plan,
            name,
            capabilities,
            self.address,
            self.tokenizer,
            samples,
            self.tasks_dir,
        )

    def inputs(self, name: str, repeat: bool) -> dict[str, str]:
        """What decides the answers of a pass."""
        job = self.job(name, repeat)
        return made_from(job, self.healths[name], self.tokenizer)

    def samples(self, name: str, repeat: bool) -> Samples:
        """What a pass brought so far, by task."""
        _, path = pass_paths(self.run_dir, name, repeat)
        return by_task(read_samples(path)) if path.is_file() else {}

    def state(self, one: Pass) -> QualityFile | None:
        """What a pass has brought so far; None before it began."""
        return stored_pass(self.run_dir, *one)

    def results(self, one: Pass, state: QualityFile) -> dict[str, TaskComparison]:
        """A pass held against the baseline's first, task by task, as far as both were asked."""
        name, repeat = one
        first = self.state((self.plan.baseline, False))
        theirs = self.samples(self.plan.baseline, False)
        again = {} if repeat else self.samples(self.plan.baseline, True)
        scores = {task: it for task, it in first.tasks.items() if task in theirs} if first else {}
        ground = find_ground(theirs, again, scores, self.plan.objectives, anytime=True)
        mine = self.samples(name, repeat)
        return {
            task: ground.compare(task, mine[task], score, anytime=True)
            for task, score in state.tasks.items()
            if task in scores and task in mine
        }

    def stopped(
        self, one: Pass, state: QualityFile, results: Mapping[str, TaskComparison]
    ) -> dict[str, Stopped]:
        """The tasks of a pass that need no more items."""
        available = {task: available_items(score) for task, score in state.tasks.items()}
        if one[1]:
            # What the baseline's first pass was not asked, its second has nothing to compare with.
            first = self.state((one[0], False))
            available = {task: it.items for task, it in first.tasks.items()} if first else {}
        asked = {task: result for task, result in results.items() if task in available}
        return stops(asked, available, self.plan.objectives, self.compared)
