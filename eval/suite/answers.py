"""What of a model's answer counts: without its thoughts, the number or the object that it gives."""

import json
import re
from decimal import Decimal
from typing import Any

_THOUGHT_ENDS = "</think>"
_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")
_GIVEN = re.compile(r"answer(?:\s+is)?\s*[:=]?\s*", re.IGNORECASE)


def said(answer: str) -> str:
    """The answer after the model's thoughts, where it thinks aloud first."""
    return answer.rpartition(_THOUGHT_ENDS)[2].strip()


def number_in(answer: str) -> Decimal | None:
    """The number after the last "answer", else the last one; None without any.

    Commas between thousands, units and a full stop after it do not matter: 1,250.00 is 1250.
    """
    text = said(answer)
    *_, (start, end) = [(0, 0), *(found.span() for found in _GIVEN.finditer(text))]
    after = _NUMBER.findall(text[end:]) if end > start else []
    numbers = after[:1] or _NUMBER.findall(text)[-1:]
    return Decimal(numbers[0].replace(",", "").replace("−", "-")) if numbers else None


def object_in(answer: str) -> Any:
    """The first JSON object or array that stands whole in the answer; None without one."""
    text, decoder = said(answer), json.JSONDecoder()
    for found in re.finditer(r"[{\[]", text):
        try:
            return decoder.raw_decode(text, found.start())[0]
        except ValueError:
            continue
    return None
