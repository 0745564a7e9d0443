"""Does an engine know a model's architecture? Asked of the engine itself, before any work.

Known on both sides of its process: what an engine answers stands in ``in_<environment>``.
"""

from dataclasses import dataclass

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True)
class ModelQuestion:
    """A model's ``config.json``, as text."""

    config: str


@dataclass(frozen=True)
class ModelAnswer:
    """Why the engine does not serve a model of this configuration; empty where it does."""

    refusal: str


def asked_in(environment: str) -> JobModule[ModelQuestion, Progress, ModelAnswer]:
    """The question as it is put to the engine of an environment."""
    return JobModule(
        module=f"services.engines.in_{environment}.model_check",
        environment=environment,
        request=ModelQuestion,
        tells=(Progress,),
        reply=ModelAnswer,
    )


def first_sentence(words: str) -> str:
    """What an engine's message says, without its advice and its list of all architectures."""
    return " ".join(words.removeprefix("Value error, ").split()).split(". ")[0].rstrip(".")
