"""What is wrong with a plan's value, in words of plans and not of the library that checks it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

# By how the library's names of errors begin; ``{…}`` is what an error holds.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "model_type": "must be a mapping of keys",
        "model_attributes_type": "must be a mapping of keys",
        "dict_": "must be a mapping of keys",
        "tuple_type": "must be a list",
        "list_type": "must be a list",
        "too_short": "must have at least {min_length}, and has {actual_length}",
        "int_": "must be a whole number",
        "float_": "must be a number",
        "finite_number": "must be a finite number",
        "bool_": "must be true or false",
        "string_type": "must be a text",
        "literal_error": "must be {expected}",
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be more than {gt}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
    }
)


def words_of(detail: Mapping[str, Any]) -> str:
    """One error of the library's, as far as there are words for its type."""
    kind = str(detail["type"])
    for begins, words in _WORDS.items():
        if kind.startswith(begins):
            return words.format(**detail.get("ctx", {}))
    return str(detail["msg"]).removeprefix("Value error, ")


def without_echoes(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The errors without those of lists that are short only because their entries are wrong."""
    return [
        it
        for it in details
        if not (it["type"] == "too_short" and len(it["input"]) >= it["ctx"]["min_length"])
    ]
