"""Why a variant misses an objective, or leaves it open: a value from judging to the report."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Objective = Literal["quality", "memory", "speed", "latency", "failure", "emulated", "together"]

# What a reason is about where no task says it.
_SUBJECTS: dict[Objective, str] = {
    "quality": "quality",
    "memory": "memory",
    "speed": "speed",
    "latency": "latency",
    "failure": "failed",
    "emulated": "speed and memory",
    "together": "among all that are compared",
}


class Reason(BaseModel):
    """One reason: which objective, on which task where it has one, and in words what is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Objective
    task: str | None = None
    words: str

    @property
    def subject(self) -> str:
        """What it is about, in a word or two: the task, or the objective."""
        return self.task or _SUBJECTS[self.objective]

    @property
    def sentence(self) -> str:
        """The whole of it."""
        return f"{self.subject}: {self.words}"


def sentences(reasons: Sequence[Reason]) -> list[str]:
    """Reasons as they are told."""
    return [reason.sentence for reason in reasons]
