"""What the yardstick of engines is asked and answers; known on both sides of its process."""

from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class TextsToScore:
    """Texts, and the folder of the model that is to score them."""

    model: Path
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ScoredText:
    """A text's ids by the model's own tokenizer; the log-probability of all but the first, nats."""

    ids: list[int]
    logprobs: list[float]


@dataclass(frozen=True, kw_only=True)
class ScoredTexts:
    """Every text, in order."""

    items: list[ScoredText]


REFERENCE_SCORES = JobModule(
    module="quantize.source.in_quantize.reference_scores",
    environment="quantize",
    request=TextsToScore,
    tells=(Progress,),
    reply=ScoredTexts,
)
