"""What became of a written answer, beyond right and wrong. Pure functions over its text.

A tool that only counts right answers calls a cut, an empty and a refused one wrong alike, and so
hides that a variant never ends, says nothing, or repeats itself.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from eval.suite.answers import number_in, object_in, said

Outcome = Literal["right", "wrong", "truncated", "empty", "looping", "refused", "malformed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

# An end that repeats itself: so often at least, over so many characters, of so many at most each.
_REPEATS, _LEAST_REPEATED, _LONGEST_UNIT = 4, 48, 120
_REFUSES = re.compile(
    r"(?:i['’]?m|i am) (?:sorry|unable|not able)|i apologi[sz]e|sorry[,.]|as an ai\b"
    r"|i (?:cannot|can['’]?t|can not|won['’]?t|will not|must decline)",
    re.IGNORECASE,
)
# What an answer to a task must hold to be one at all; lm-eval's own filters say it for others.
_HOLDS: Mapping[str, Callable[[str], Any]] = {
    "assay_general_arithmetic": number_in,
    "assay_general_tools": object_in,
}
_NO_MATCH = "[invalid]"


def outcome_of(task: str, text: str, *, right: bool, cut: bool, filtered: str = "") -> Outcome:
    """The first that applies: right, empty, looping, truncated, refused, malformed, wrong.

    ``text`` is the whole answer, ``cut`` whether it ended at its limit and not by itself,
    ``filtered`` what lm-eval found in it. An answer that is right is right, however it ends.
    """
    answer = said(text)
    if right:
        return "right"
    if not answer:
        return "truncated" if text.strip() and cut else "empty"
    if is_looping(text):
        return "looping"
    if cut:
        return "truncated"
    if _REFUSES.match(answer):
        return "refused"
    if filtered == _NO_MATCH or (task in _HOLDS and _HOLDS[task](text) is None):
        return "malformed"
    return "wrong"


def is_looping(text: str) -> bool:
    """Whether a text ends in a stretch that it repeats over and over."""
    end = text.rstrip()
    return any(_repeats(end, unit) for unit in range(1, min(_LONGEST_UNIT, len(end) // 2) + 1))


def _repeats(text: str, unit: int) -> bool:
    """Whether the text's end, as long as a loop must be, has this period."""
    length = max(_LEAST_REPEATED, _REPEATS * unit)
    end = text[-length:]
    return len(end) == length and end[unit:] == end[:-unit] and not end.isspace()
