import pytest

from eval.outcomes import Outcome, is_looping, outcome_of

LOOP = "The answer is that " + "we know it well. " * 12


def outcome(
    text: str, *, task: str = "t", right: bool = False, cut: bool = False, filtered: str = ""
) -> Outcome:
    return outcome_of(task, text, right=right, cut=cut, filtered=filtered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris.", "wrong"),
        ("", "empty"),
        (" \n", "empty"),
        ("I'm sorry, but I cannot help with that.", "refused"),
        ("I cannot answer this.", "refused"),
        (LOOP, "looping"),
        ("<think>so it is</think>", "empty"),
    ],
)
def test_what_became_of_an_answer(text: str, expected: Outcome) -> None:
    assert outcome(text) == expected


def test_a_right_answer_is_right_however_it_ends() -> None:
    assert outcome(LOOP, right=True, cut=True) == "right"


def test_an_answer_that_reached_its_limit_is_cut_and_so_are_thoughts_that_never_end() -> None:
    assert outcome("one thing leads to", cut=True) == "truncated"
    assert outcome("<think>let me see", cut=True) == "truncated"


def test_an_answer_without_what_the_task_asks_for_is_malformed() -> None:
    assert outcome("no number here", task="assay_general_arithmetic") == "malformed"
    assert outcome("Answer: 7", task="assay_general_arithmetic") == "wrong"
    assert outcome('{"name": ', task="assay_general_tools") == "malformed"
    assert outcome("something", filtered="[invalid]") == "malformed"


@pytest.mark.parametrize(
    "text", ["a list: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14", "ha ha", "end" + " " * 200]
)
def test_what_is_merely_alike_is_no_loop(text: str) -> None:
    assert not is_looping(text)


def test_a_single_character_and_a_whole_sentence_can_loop() -> None:
    assert is_looping("no" + "!" * 60)
    assert is_looping("It is so. " + "And then they went back to the house by the sea. " * 5)
