from decimal import Decimal
from typing import Any

import pytest

from eval.suite.answers import number_in, object_in, said


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("12 + 5 = 17. The answer is 17.", 17),
        ("Answer: 1,250.00 euros", 1250),
        ("First 3, then 4. ANSWER = -8", -8),
        ("The answer is −8", -8),
        ("My first answer was 5. Answer: 6", 6),
        ("That makes 40", 40),
        ("Answer: see above, it is 3 or 4", 3),
        ("<think>perhaps 9</think>\n7", 7),
        ("I do not know", None),
        ("", None),
    ],
)
def test_the_number_that_is_given_counts(answer: str, number: int | None) -> None:
    assert number_in(answer) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here it is:\n```json\n{"a": {"b": [1]}}\n```', {"a": {"b": [1]}}),
        ('{oops} then {"a": 1}', {"a": 1}),
        ('["x", "y"] and more', ["x", "y"]),
        ('{"a": 1', None),
        ("none", None),
    ],
)
def test_the_first_whole_object_counts(answer: str, found: Any) -> None:
    assert object_in(answer) == found


def test_thoughts_do_not_count() -> None:
    assert said("<think>\nhm\n</think>\n\n yes ") == "yes"
    assert said(" yes ") == "yes"
