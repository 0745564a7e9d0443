"""What the scoring process is asked and what it answers, on both sides of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from quantize.jobs.job_module import JobModule, Progress


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_File):
    """A recipe's artifact, and the parquet file that is to receive its samples."""

    recipe: str
    artifact: Path
    samples: Path


class Request(_File):
    """``source`` is the unquantized artifact: config, tokenizer, and the weights to hold against.

    ``limit`` caps the items per task.
    """

    source: Path
    items: tuple[Item, ...]
    tasks: tuple[str, ...]
    tasks_dir: Path
    limit: int
    context_length: int
    threads: int


class Score(_File):
    """What one recipe's artifact scored.

    ``weight_snr_db`` is over all quantized layers; ``rescaled`` says that the recipe moved scales
    between layers, so that every channel was matched by its best factor before the comparison.
    ``values`` are by task: nats per token, or the share of right answers.
    """

    recipe: str
    weight_snr_db: float | None
    rescaled: bool
    seconds: float
    values: dict[str, float]


RECIPE_SCORES: JobModule[Request, Progress | Score, None] = JobModule(
    module="tests.benches.recipes.in_quantize.score_process",
    environment="quantize",
    request=Request,
    tells=(Progress, Score),
    reply=type(None),
)
