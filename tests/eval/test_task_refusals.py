from typing import Any

import pytest

from eval.task_refusals import TaskTraits, incapable, unscorable, without_neutral

ROLLING_TASK = TaskTraits(
    output_type="loglikelihood_rolling", metrics=("word_perplexity",), generation={}, examples=False
)


def words(**changes: Any) -> TaskTraits:
    given: dict[str, Any] = {
        "output_type": "generate_until",
        "metrics": ("exact_match",),
        "generation": {"until": ["\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 64},
        "examples": True,
    }
    return TaskTraits(**given | changes)


def reason(traits: TaskTraits, num_fewshot: int | None = None) -> str | None:
    return unscorable(traits, context_length=1024, default_answer=256, num_fewshot=num_fewshot)


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (words(), None),
        (ROLLING_TASK, None),
        (words(output_type="images"), "requests of type images cannot be sent"),
        (
            words(output_type="loglikelihood", metrics=("perplexity",)),
            "it reports perplexity, none of which is an accuracy",
        ),
        (words(generation={"max_gen_toks": 4096}), "up to 4096 tokens, but serving.context_length"),
        (words(generation={"max_tokens": 1023}), "up to 1023 tokens"),
        (words(generation={}), None),
        (words(generation={"num_beams": 4}), r"(num_beams: 4)"),
        (words(generation={"num_beams": 1, "repetition_penalty": 1.1, "top_p": 0.9}), None),
        (words(generation={"max_new_tokens": 9, "num_beams": None}), "(max_new_tokens: 9)"),
    ],
)
def test_a_task_that_no_variant_can_be_asked_alike_is_refused_by_name(
    traits: TaskTraits, expected: str | None
) -> None:
    found = reason(traits)
    assert found == expected or (found is not None and expected is not None and expected in found)


def test_examples_want_a_split_of_their_own_lest_they_hold_the_answer() -> None:
    assert "fewshot_split" in (reason(words(examples=False), 2) or "")
    assert reason(words(examples=False), 0) is None
    assert reason(ROLLING_TASK, 2) is None


ANSWERS = {"every_end", "plain_sampling", "stop", "token_ids"}


@pytest.mark.parametrize(
    ("output_type", "capabilities", "expected"),
    [
        ("generate_until", ANSWERS, None),
        (
            "generate_until",
            ANSWERS - {"stop", "every_end"},
            "the endpoint cannot do every_end, stop",
        ),
        ("multiple_choice", set(), "the endpoint cannot do echo_logprobs, token_ids"),
        ("loglikelihood_rolling", {"token_ids", "echo_logprobs"}, None),
    ],
)
def test_what_an_endpoint_lacks_is_named(
    output_type: str, capabilities: set[str], expected: str | None
) -> None:
    assert incapable(output_type, frozenset(capabilities)) == expected


def test_only_what_changes_an_answer_is_sent() -> None:
    given = {"top_p": 1.0, "top_k": -1, "num_beams": 1, "min_p": None, "repetition_penalty": 1.1}
    assert without_neutral(given) == {"repetition_penalty": 1.1}
