"""What vLLM says of a model's configuration: read as its server reads it, without any weights."""

from collections.abc import Callable

from pydantic import ValidationError
from vllm.config import ModelConfig

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve
from services.engines.model_question import (
    ASKED_OF_VLLM,
    ModelAnswer,
    ModelQuestion,
    first_sentence,
)


def carry_out(question: ModelQuestion, _: Callable[[Progress], None]) -> ModelAnswer:
    """Whether vLLM finds code of its own, or of transformers, for the architecture."""
    with question.folder() as folder:
        try:
            ModelConfig(
                model=folder, runner="generate", skip_tokenizer_init=True, generation_config="vllm"
            )
        except ValidationError as error:
            return ModelAnswer(first_sentence(error.errors()[0]["msg"]))
        except (ValueError, ImportError) as error:
            return ModelAnswer(first_sentence(str(error)))
    return ModelAnswer("")


if __name__ == "__main__":
    serve(ASKED_OF_VLLM, carry_out)
