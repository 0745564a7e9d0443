"""A task's score: what a pass tells, and its file keeps."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class TaskScore(BaseModel):
    """One task's score. ``metric``: ``accuracy`` (0 to 1) or ``nll_per_token`` (nats).

    ``details`` keeps lm-eval's own figures by its own names (``acc_norm``, ``word_perplexity``),
    and the ``seconds`` that asking took.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Literal["accuracy", "nll_per_token"]
    value: float
    items: int
    details: dict[str, float]

    def with_details(self, **more: float) -> "TaskScore":
        """The same score with further figures beside it."""
        return self.model_copy(update={"details": {**self.details, **more}})
