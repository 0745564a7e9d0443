"""Whether an answer can be scored at all, held against what was asked before lm-eval reads it."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

# What reading an answer raises that has not the shape of a completion.
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class EndpointAnswerError(ValueError):
    """The endpoint answered something that cannot be scored."""


class Written(str):
    """A written answer that knows how it ended; to lm-eval a text like any other.

    ``cut``: at its limit, as its endpoint said; None where that said nothing.
    """

    cut: bool | None


def written(outputs: Any, texts: Sequence[Any]) -> list[Written]:
    """The texts of an answer, each with how it ended, in the order of its choices.

    Raises:
        EndpointAnswerError: one has no text.
    """
    if not all(isinstance(text, str) for text in texts):
        raise EndpointAnswerError("an answer without a text")
    answers = outputs if isinstance(outputs, list) else [outputs]
    choices = [it for one in answers for it in sorted(one["choices"], key=itemgetter("index"))]
    found = [Written(text) for text in texts]
    for text, choice in zip(found, choices, strict=True):
        reason = choice.get("finish_reason")
        text.cut = None if reason is None else reason == "length"
    return found


def prove_scored(outputs: Any, tokens: Sequence[Sequence[int]]) -> None:
    """Hold an answer to a choice per prompt, each with the scores of all its tokens and one more.

    Raises:
        EndpointAnswerError: a choice or a log-probability is missing.
    """
    answers = outputs if isinstance(outputs, list) else [outputs]
    try:
        choices = [choice for answer in answers for choice in answer["choices"]]
        scored = {
            choice["index"]: len((choice.get("logprobs") or {}).get("token_logprobs") or [])
            for choice in choices
        }
    except MISSHAPEN as error:
        raise unreadable(error) from None
    if len(choices) != len(tokens) or scored.keys() != set(range(len(tokens))):
        raise EndpointAnswerError(f"{len(tokens)} prompts were sent, {len(choices)} came back")
    for index, got in scored.items():
        expected = len(tokens[index]) + 1
        if got != expected:
            raise EndpointAnswerError(
                f"echo of {expected - 1} prompt tokens and one generated token must carry "
                f"{expected} log-probabilities, the engine sent {got}"
            )


def unreadable(error: Exception) -> EndpointAnswerError:
    """An answer that has not the shape of a completion; lm-eval asks again, as for any failure."""
    return EndpointAnswerError(f"an answer that is no completion ({type(error).__name__}: {error})")
