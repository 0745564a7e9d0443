"""Constraints on an answer that a program can check: each is told in words and held to them.

A constraint is a plain mapping, ``{"kind": …, …}``, as a task's item keeps it. Pure functions.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from eval.suite.answers import object_in

Constraint = Mapping[str, Any]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


def words_of(text: str) -> list[str]:
    """The words of a text; what hyphen or apostrophe joins is one."""
    return _WORD.findall(text)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _has_word(text: str, word: str) -> bool:
    return word.lower() in [found.lower() for found in words_of(text)]


def _bullets(text: str) -> int:
    return sum(line.startswith(("- ", "* ")) for line in _lines(text))


def _sentences(text: str) -> int:
    return len(_SENTENCE_END.findall(text))


def _is_list_of(text: str, count: int) -> bool:
    found = object_in(text)
    return (
        isinstance(found, list) and len(found) == count and all(isinstance(it, str) for it in found)
    )


def _bare(text: str) -> str:
    """An answer as it is compared: without the quotes and the full stop around it."""
    return text.strip().strip("\"'`*.").strip().lower()


CHECKS: Mapping[str, Callable[[str, Constraint], bool]] = {
    "exactly": lambda text, c: _bare(text) == c["text"].lower(),
    "list": lambda text, c: (
        [_bare(it) for it in text.split(",")] == [w.lower() for w in c["words"]]
    ),
    "at_most_words": lambda text, c: 0 < len(words_of(text)) <= c["count"],
    "at_least_words": lambda text, c: len(words_of(text)) >= c["count"],
    "sentences": lambda text, c: _sentences(text) == c["count"],
    "bullets": lambda text, c: _bullets(text) == c["count"],
    "lines": lambda text, c: len(_lines(text)) == c["count"],
    "lowercase": lambda text, _: bool(words_of(text)) and text == text.lower(),
    "uppercase": lambda text, _: bool(words_of(text)) and text == text.upper(),
    "contains": lambda text, c: _has_word(text, c["word"]),
    "avoids": lambda text, c: bool(words_of(text)) and not _has_word(text, c["word"]),
    "no_commas": lambda text, _: bool(words_of(text)) and "," not in text,
    "begins": lambda text, c: text.lower().startswith(c["text"].lower()),
    "ends": lambda text, c: text.rstrip().rstrip("\"'.").lower().endswith(c["text"].lower()),
    "quoted": lambda text, _: len(text) > 2 and text[0] == text[-1] == '"',
    "json_list": lambda text, c: _is_list_of(text, c["count"]),
}


def told(constraint: Constraint) -> str:
    """A constraint as a sentence of the request."""
    return _WORDS[constraint["kind"]].format(**constraint)


_WORDS: Mapping[str, str] = {
    "at_most_words": "Use at most {count} words.",
    "at_least_words": "Use at least {count} words.",
    "sentences": "Write exactly {count} sentences.",
    "bullets": 'Answer with exactly {count} points, each on its own line that starts with "- ".',
    "lines": "Write exactly {count} lines of text.",
    "lowercase": "Write everything in lower case, without a single capital letter.",
    "uppercase": "WRITE EVERYTHING IN CAPITAL LETTERS.",
    "contains": 'Use the word "{word}".',
    "avoids": 'Do not use the word "{word}".',
    "no_commas": "Do not use any commas.",
    "begins": 'Begin with "{text}".',
    "ends": 'End with the words "{text}".',
    "quoted": "Put your whole answer in double quotation marks.",
    "json_list": "Answer with nothing but a JSON list of {count} strings.",
}


def holds(constraint: Constraint, answer: str) -> bool:
    """Whether an answer keeps a constraint; an empty one keeps none."""
    return bool(answer.strip()) and CHECKS[constraint["kind"]](answer.strip(), constraint)
