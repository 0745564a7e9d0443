"""What the baseline's own answers say of each task: its noise, and whether it has signal.

Whoever compares a variant does it here, while questions are asked and when a run is told of, so
that what stopped them is what is told. Pure functions over samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.plan_sections import Objectives
from eval.paired import compare_task
from eval.quality_ends import floor_within
from eval.samples import Sample
from eval.schema import NoSignal, TaskComparison
from eval.task_score import TaskScore
from eval.task_signal import without_signal

Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The baseline's two passes, ``first`` and ``second``, and the tasks that prove nothing.

    ``anytime``: how far it was asked was not fixed beforehand.
    """

    first: Samples
    second: Samples
    silent: Mapping[str, NoSignal]
    objectives: Objectives
    anytime: bool

    def compare(
        self, task: str, mine: Sequence[Sample], score: TaskScore, *, anytime: bool
    ) -> TaskComparison:
        """A task of a variant that the baseline has answered, too; ``anytime`` as above.

        Raises:
            ValueError: the two were asked different questions.
        """
        return self._compared(task, mine, self.first[task], score, anytime)

    def alone(self, task: str, score: TaskScore) -> TaskComparison:
        """A task of the baseline itself."""
        return self._compared(task, self.first[task], None, score, self.anytime)

    def _compared(
        self,
        task: str,
        mine: Sequence[Sample],
        theirs: Sequence[Sample] | None,
        score: TaskScore,
        anytime: bool,
    ) -> TaskComparison:
        return compare_task(
            mine,
            theirs,
            score,
            self.objectives,
            self._floor(task, mine),
            self.silent.get(task),
            anytime=anytime or self.anytime,
        )

    def _floor(self, task: str, mine: Sequence[Sample]) -> float | None:
        """What asking the baseline again can change of the items of a variant; None if unknown."""
        if not self.second.get(task):
            return None
        confidence = self.objectives.confidence
        return floor_within(mine, self.first[task], self.second[task], confidence)


def find_ground(
    first: Samples,
    second: Samples,
    scores: Mapping[str, TaskScore],
    objectives: Objectives,
    *,
    anytime: bool,
) -> Ground:
    """The ground of the baseline's two passes; ``scores`` are those of the first."""
    silent = without_signal(first, scores, objectives, anytime=anytime)
    return Ground(first=first, second=second, silent=silent, objectives=objectives, anytime=anytime)
