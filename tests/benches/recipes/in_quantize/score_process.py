"""Scores decoded artifacts in one process: weight noise, perplexity, multiple choice.

In the ``quantize`` environment. The model runs as the transformers
engine runs it (weights decoded from the packed tensors, inputs rounded as the format says), but
without the server between: forty recipes are to be scored in minutes.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer

from eval.lm_eval_samples import to_samples, to_score
from eval.lm_eval_tasks import ask, load_tasks
from eval.rolling_windows import rolling_likelihoods
from eval.samples import Sample, write_samples
from quantize.emulation.in_quantize.decoded_artifact import decoded_weights
from quantize.emulation.in_quantize.emulation import load_any
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from tests.benches.recipes.files import RECIPE_SCORES, Item, Request, Score
from tests.benches.recipes.in_quantize.weight_noise import (
    is_rescaled,
    read_reference,
    weight_snr_db,
)

_BATCH_SEQUENCES = 32


class InProcessModel(HFLM):  # type: ignore[misc]
    """lm-eval's own model class on a model that is loaded already, with what ``ask`` needs."""

    truncated = 0

    def begin_task(self) -> None:
        """Nothing is counted here; prompts of the bundled tasks fit."""

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return len(self.tokenizer)

    def count_tokens(self, context: str, continuation: str) -> int:
        """How many tokens of ``continuation`` are scored after ``context``."""
        if not context:
            return len(self.tok_encode(continuation, add_special_tokens=False))
        return len(self._encode_pair(context, continuation)[1])

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihood in nats of every document after one BOS, as endpoints are asked for it."""
        texts = [self.tok_encode(r.args[0], add_special_tokens=False) for r in requests]
        return rolling_likelihoods(
            texts, self.prefix_token_id, self.max_length, self._loglikelihood_tokens
        )


def _score(item: Item, request: Request, tokenizer: Any, reference: Any) -> Score:
    started = time.monotonic()
    loaded = load_any(item.artifact, request.source)
    weights = dict(loaded.named_parameters())
    rescaled = is_rescaled(weights, reference)
    snr_db = weight_snr_db(weights, reference, rescaled=rescaled)
    model = InProcessModel(
        pretrained=loaded,
        tokenizer=tokenizer,
        batch_size=_BATCH_SEQUENCES,
        max_length=request.context_length,
    )
    bundled = load_tasks(request.tasks, [str(request.tasks_dir)], bundled_only=True)
    if bundled.missing:
        raise BadRequest(str(dict(bundled.missing)))
    samples: list[Sample] = []
    values: dict[str, float] = {}
    for name, task in bundled.tasks.items():
        result = ask(model, name, task, bundled.manager, limit=request.limit)
        rows = to_samples(
            name, task.OUTPUT_TYPE, result["samples"][name], count_tokens=model.count_tokens
        )
        samples.extend(rows)
        values[name] = to_score(rows, result["results"][name]).value
    write_samples(item.samples, samples)
    return Score(
        recipe=item.recipe,
        weight_snr_db=snr_db,
        rescaled=rescaled,
        seconds=time.monotonic() - started,
        values=values,
    )


def carry_out(request: Request, tell: Callable[[Progress | Score], None]) -> None:
    """Score every item in turn, and tell each score."""
    torch.set_num_threads(request.threads)
    tell(Progress("loading"))
    tokenizer = AutoTokenizer.from_pretrained(request.source)
    reference = read_reference(decoded_weights(request.source))
    for number, item in enumerate(request.items, start=1):
        tell(Progress("", number, len(request.items), note=item.recipe))
        tell(_score(item, request, tokenizer, reference))


if __name__ == "__main__":
    serve(RECIPE_SCORES, carry_out)
