"""An answer that cannot be scored is refused, and never scored as something else.

covers: eval/lm_eval_answers.py
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from requests.utils import should_bypass_proxies

from eval.lm_eval_answers import EndpointAnswerError, Written
from eval.lm_eval_job import Job
from eval.lm_eval_model import EndpointModel
from eval.lm_eval_process import _environment

TOKENS = [[1, 2, 3], [4, 5]]


def scored(index: int, *values: float | None) -> dict[str, Any]:
    """A choice with log-probabilities, each also of the likeliest token."""
    likeliest = [None if value is None else {"a": value} for value in values]
    report = {"token_logprobs": list(values), "top_logprobs": likeliest}
    return {"index": index, "text": "", "logprobs": report}


WHOLE = {"choices": [scored(1, None, -1.0, -9.0), scored(0, None, -1.0, -2.0, -9.0)]}


def test_likelihoods_come_in_the_order_of_their_prompts() -> None:
    read = EndpointModel.parse_logprobs(WHOLE, tokens=TOKENS, ctxlens=[1, 1])
    assert read == [(-3.0, True), (-1.0, True)]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "busy",
        {"error": {"message": "busy"}},
        {"choices": None},
        {"choices": [None, None]},
        {"choices": WHOLE["choices"][:1]},
        {"choices": [*WHOLE["choices"], WHOLE["choices"][0]]},
        {"choices": [scored(0, None, -1.0, -2.0, -9.0), {"index": 1, "logprobs": None}]},
        {"choices": [scored(0, -9.0), scored(1, -9.0)]},
        {"choices": [scored(0, None, None, -2.0, -9.0), scored(1, None, -1.0, -9.0)]},
    ],
)
def test_an_answer_without_all_likelihoods_is_refused(answer: Any) -> None:
    with pytest.raises(EndpointAnswerError):
        EndpointModel.parse_logprobs(answer, tokens=TOKENS, ctxlens=[1, 1])


def test_a_generated_text_knows_whether_it_was_cut_as_its_endpoint_said() -> None:
    reasons = {1: "length", 0: "stop", 2: None}
    choices = [{"index": n, "text": "a", "finish_reason": it} for n, it in reasons.items()]
    found = EndpointModel.parse_generations({"choices": choices})
    assert [text.cut for text in found if isinstance(text, Written)] == [False, True, None]
    copied = deepcopy(found)[1]
    assert isinstance(copied, Written)
    assert copied.cut


def test_generated_texts_come_in_the_order_of_their_prompts() -> None:
    answer = {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": ""}]}
    assert EndpointModel.parse_generations(answer) == ["", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"error": {"message": "busy"}},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "text": None}]},
        {"choices": [{"index": 3, "text": "a"}]},
        {"choices": [None]},
    ],
)
def test_an_answer_without_a_text_is_refused_and_not_filled(answer: Any) -> None:
    with pytest.raises(EndpointAnswerError):
        EndpointModel.parse_generations(answer)


def test_the_endpoint_is_asked_directly_whatever_proxy_the_shell_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content: dict[str, Any] = {"url": "http://127.0.0.1:8000/v1", "bundled_only": True}
    job = Job.model_construct(None, **content)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "corp.internal")
    for name, value in _environment(job, Path("/tmp")).items():
        monkeypatch.setenv(name, value)
    assert should_bypass_proxies(job.url, no_proxy=None)
    assert not should_bypass_proxies("http://huggingface.example/", no_proxy=None)


def test_data_sets_are_kept_neither_in_the_current_folder_nor_in_a_home_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content: dict[str, Any] = {"url": "http://127.0.0.1:8000/v1", "bundled_only": False}
    job = Job.model_construct(None, **content)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/nonexistent")
    told = _environment(job, tmp_path)
    assert "XDG_CACHE_HOME" not in told
    assert told["HOME"] == str(tmp_path)
