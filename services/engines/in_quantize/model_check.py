"""What transformers says of a model's configuration; in the ``quantize`` environment."""

from collections.abc import Callable

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve
from services.engines.model_question import (
    ASKED_OF_TRANSFORMERS,
    ModelAnswer,
    ModelQuestion,
    first_sentence,
)


def carry_out(question: ModelQuestion, _: Callable[[Progress], None]) -> ModelAnswer:
    """Whether transformers has a class that writes text for the configuration."""
    with question.folder() as folder:
        try:
            config = AutoConfig.from_pretrained(folder)
        except (ValueError, KeyError) as error:
            return ModelAnswer(first_sentence(str(error)))
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return ModelAnswer("")
    return ModelAnswer(f"it has no language model of type {config.model_type!r}")


if __name__ == "__main__":
    serve(ASKED_OF_TRANSFORMERS, carry_out)
