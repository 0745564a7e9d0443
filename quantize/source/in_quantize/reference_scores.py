"""Score texts with transformers in float32: the yardstick of engines; ``quantize`` environment."""

from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve
from quantize.source.scores_job import REFERENCE_SCORES, ScoredText, ScoredTexts, TextsToScore

TOKENS = 64


def carry_out(request: TextsToScore, _: Callable[[Progress], None]) -> ScoredTexts:
    """The first ``TOKENS`` ids of every text, each with its log-probability."""
    tokenizer = AutoTokenizer.from_pretrained(str(request.model))
    model = AutoModelForCausalLM.from_pretrained(str(request.model), dtype=torch.float32).eval()
    items = []
    for text in request.texts:
        ids = tokenizer(text)["input_ids"][:TOKENS]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double()
        scores = logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]]
        items.append(ScoredText(ids=ids, logprobs=scores.tolist()))
    return ScoredTexts(items=items)


if __name__ == "__main__":
    serve(REFERENCE_SCORES, carry_out)
