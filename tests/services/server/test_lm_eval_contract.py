"""lm-eval's own parser must read log-likelihoods and greediness out of our answers.

covers: services/server/responses.py
"""

from typing import Any

import numpy as np
import pytest
from lm_eval.models.openai_completions import LocalCompletionsAPI

from tests.services.server.conftest import RunningServer
from tests.services.server.tiny_llama import TinyLlama

pytestmark = pytest.mark.engine


def test_lm_eval_reads_the_log_likelihoods_of_the_oracle(
    server: RunningServer, tiny: TinyLlama
) -> None:
    contexts = [[1, 300, 310], [1, 320, 330, 340, 350]]
    greedy = [tiny.greedy(context, 3) for context in contexts]
    # The second continuation of each context is not the likeliest.
    pairs = [(context, rest) for context, rest in zip(contexts, greedy, strict=True)]
    pairs += [(context, [*rest[:2], 5]) for context, rest in pairs]
    prompts = [context + rest for context, rest in pairs]
    answer: Any = server.complete(
        prompt=prompts, temperature=0, max_tokens=1, logprobs=1, seed=1234, echo=True
    )
    lengths = [len(context) for context, _ in pairs]
    parsed = LocalCompletionsAPI.parse_logprobs([answer], prompts, lengths)
    for (context, rest), (likelihood, is_greedy) in zip(pairs, parsed, strict=True):
        logprobs = tiny.logprobs(context + rest)
        places = np.arange(len(context) - 1, len(context) + len(rest) - 1)
        assert likelihood == pytest.approx(logprobs[places, rest].sum(), abs=1e-3)
        assert is_greedy == (rest in greedy)
