"""What differs is named by its kind, from which sequences differ and from where on."""

import pytest

from services.engine.agreement import PLAIN, Answers, judge
from tests.services.engine.recorded import WINDOW, Moved, agreement_file, heard, off

ALL = ("without BOS", "with BOS", "special tokens", "chat", "text")


def reason(moved: Moved, window: int | None = None) -> str:
    file = agreement_file(window=window)
    found = judge(file, Answers(scores=heard(file.source, moved)), PLAIN)
    assert found.state == "differs"
    return found.reasons[0]


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
def test_each_kind_is_told_apart(moved: Moved, window: int | None, words: str) -> None:
    assert words in reason(moved, window)


def test_the_place_the_token_and_the_figures_are_told() -> None:
    words = reason(off(1.6, "with BOS", after=WINDOW), WINDOW)
    assert f"from position {WINDOW + 1} on (token {10 + WINDOW + 1}, " in words
    assert "nats a token on average" in words
    assert "serving.context_length up to 100" in words


def test_a_window_that_is_kept_but_weights_that_are_others_are_no_matter_of_the_window() -> None:
    assert "other weights" in reason(off(1.7), WINDOW)
