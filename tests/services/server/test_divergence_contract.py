"""What a divergence is computed of must be in our answers.

covers: eval/divergence/asking.py
"""

import numpy as np
import pytest

from eval.divergence.asked_texts import ANSWER_TOKENS, AskedText
from eval.divergence.asking import DivergenceError, Target, score_texts
from eval.divergence.compare_texts import apart
from eval.divergence.scored_tokens import NO_TOKEN
from eval.divergence.token_divergence import token_divergence
from tests.services.server.conftest import KEY, MODEL, RunningServer
from tests.services.server.tiny_llama import TinyLlama

pytestmark = pytest.mark.engine
TEXTS = [
    AskedText(stratum="one", ids=(1, *range(300 + start, 320 + start)), answered=start == 0)
    for start in (0, 7)
]


def target(server: RunningServer, key: str = KEY) -> Target:
    return Target(
        variant=MODEL,
        url=f"{server.url}/v1/completions",
        headers={"authorization": f"Bearer {key}"},
        concurrency=4,
        timeout_s=60,
    )


def test_likeliest_tokens_and_answers_are_those_of_the_oracle(
    server: RunningServer, tiny: TinyLlama
) -> None:
    scored = score_texts(target(server), TEXTS)
    logprobs = np.concatenate([tiny.logprobs(list(text.ids))[:-1] for text in TEXTS])
    following = [token for text in TEXTS for token in text.ids[1:]]
    assert scored.chosen == pytest.approx(logprobs[np.arange(len(following)), following], abs=1e-3)
    assert (scored.top_ids[:, 0] == logprobs.argmax(axis=1)).all()
    assert scored.top[:, 0] == pytest.approx(logprobs.max(axis=1), abs=1e-3)
    written = [token for token in scored.answers[0].tolist() if token != NO_TOKEN]
    assert len(written) > 10
    assert written == tiny.greedy(list(TEXTS[0].ids), ANSWER_TOKENS)[: len(written)]


def test_the_same_endpoint_asked_again_does_not_diverge(server: RunningServer) -> None:
    one, again = (score_texts(target(server), TEXTS) for _ in range(2))
    assert token_divergence(one, again).kl.max() < 1e-4
    assert apart(one, again).parted == [None]


def test_an_endpoint_that_refuses_is_named(server: RunningServer) -> None:
    with pytest.raises(DivergenceError, match="tiny: 401"):
        score_texts(target(server, key="wrong"), TEXTS)
