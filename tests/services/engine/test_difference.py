"""What differs is named by its kind, from which sequences differ and from where on."""

from dataclasses import replace

import pytest

from services.engine.agreement import (
    DECODED,
    PLAIN,
    ROUNDED,
    TIMES_MOVED,
    Agreement,
    Answers,
    judge,
)
from tests.services.engine.recorded import (
    INPUTS,
    WINDOW,
    Moved,
    agreement_file,
    heard,
    inputs_rounded,
    off,
)

# Two kernels that round inputs alike are as far apart as two draws of it.
TWO_DRAWS = 1.4 * INPUTS


def told(moved: Moved, window: int | None, *, rounds: bool) -> Agreement:
    if not rounds:
        file = agreement_file(window=window)
        return judge(file, Answers(scores=heard(file.source, moved)), PLAIN)
    file = agreement_file(window=window, artifact=inputs_rounded())
    answers = Answers(scores=heard(file.source, moved, noise=TWO_DRAWS))
    return judge(file, answers, replace(ROUNDED, times_moved=TIMES_MOVED))


def reason(moved: Moved, window: int | None = None, *, rounds: bool = False) -> str:
    found = told(moved, window, rounds=rounds)
    assert found.state == "differs"
    return found.reasons[0]


def test_a_kernel_that_rounds_inputs_on_its_own_agrees_only_by_what_they_move() -> None:
    found = told(off(0), None, rounds=True)
    assert (found.state, found.against) == ("agrees", DECODED)
    file = agreement_file(artifact=inputs_rounded())
    answers = Answers(scores=heard(file.source, noise=TWO_DRAWS))
    assert judge(file, answers, ROUNDED).state == "differs"


@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize(
    ("moved", "window", "words"),
    [
        (off(1.7), None, "other weights, biases or another output head"),
        (off(1.6, "with BOS", after=WINDOW), WINDOW, "only beyond the model's attention window"),
        (off(1.6, "with BOS", after=300), None, "rotary embedding"),
        (off(0.9, "special tokens"), None, "only at special tokens"),
        (off(0.9, "special tokens", "chat"), None, "only at special tokens"),
        (off(0.9, "with BOS"), None, "only after BOS"),
        (off(0.9, "without BOS"), None, "only without BOS"),
        (off(0.9, "text"), None, "where it reads text itself"),
    ],
)
def test_each_kind_is_told_apart(
    moved: Moved, window: int | None, words: str, *, rounds: bool
) -> None:
    assert words in reason(moved, window, rounds=rounds)


def test_the_place_the_token_and_the_figures_are_told() -> None:
    words = reason(off(1.6, "with BOS", after=WINDOW), WINDOW)
    assert f"from position {WINDOW + 1} on (token {10 + WINDOW + 1}, " in words
    assert "nats a token on average" in words
    assert "serving.context_length up to 100" in words


@pytest.mark.parametrize("rounds", [False, True])
def test_a_window_that_is_kept_but_weights_that_are_others_are_no_matter_of_the_window(
    *, rounds: bool
) -> None:
    assert "other weights" in reason(off(1.7), WINDOW, rounds=rounds)
