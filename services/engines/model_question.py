"""Does an engine know a model's architecture? Asked of the engine itself, before any work.

Known on both sides of its process: what an engine answers stands in ``in_<environment>``.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True)
class ModelQuestion:
    """A model's ``config.json``, as text."""

    config: str

    @contextmanager
    def folder(self) -> Iterator[str]:
        """A folder with this file alone, until the block ends."""
        with tempfile.TemporaryDirectory(prefix="assay-model-") as folder:
            (Path(folder) / "config.json").write_text(self.config, encoding="utf-8")
            yield folder


@dataclass(frozen=True)
class ModelAnswer:
    """Why the engine does not serve a model of this configuration; empty where it does."""

    refusal: str


def _asked_in(environment: str, module: str) -> JobModule[ModelQuestion, Progress, ModelAnswer]:
    """The question as a module puts it to the engine of an environment."""
    return JobModule(
        module=module,
        environment=environment,
        request=ModelQuestion,
        tells=(Progress,),
        reply=ModelAnswer,
    )


ASKED_OF_VLLM = _asked_in("vllm", "services.engines.in_vllm.model_check")
ASKED_OF_TRANSFORMERS = _asked_in("quantize", "services.engines.in_quantize.model_check")


def first_sentence(words: str) -> str:
    """What an engine's message says, without its advice and its list of all architectures."""
    return " ".join(words.removeprefix("Value error, ").split()).split(". ")[0].rstrip(".")
