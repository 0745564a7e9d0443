"""What the maker of the random model is asked; known on both sides of its process."""

from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class RandomModelRequest:
    """Write a model with the tokenizer of ``source`` into the new folder ``target``."""

    source: Path
    target: Path


RANDOM_MODEL = JobModule(
    module="tests.benches.engines.in_quantize.random_model",
    environment="quantize",
    request=RandomModelRequest,
    tells=(Progress,),
    reply=type(None),
)
