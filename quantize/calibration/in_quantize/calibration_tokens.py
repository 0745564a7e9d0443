"""The calibration set as token ids; in an environment that has transformers.

Every tool that calibrates reads the same sequences, so that recipes differ by their method alone.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer

from quantize.calibration.calibration_set import CalibrationPlan, Document, pack, read_documents

# Templates that tell the date would make another set every day.
_TODAY = datetime(2026, 1, 1)


def calibration_tokens(model: Path, plan: CalibrationPlan) -> list[list[int]]:
    """The calibration set in the model's own tokens: (samples, sequence_length) ids.

    Raises:
        CalibrationError: the text is missing, malformed or too short.
    """
    tokenizer = AutoTokenizer.from_pretrained(model)
    documents = read_documents(plan.path)
    return pack((document_tokens(tokenizer, document) for document in documents), plan)


def document_tokens(tokenizer: Any, document: Document) -> list[int]:
    """A text with the special tokens that the tokenizer adds; a chat through its template.

    A chat that the template refuses (a role it does not know), or of which it would leave out the
    calls of functions, is read as plain text.
    """
    if document.messages is not None and tokenizer.chat_template:
        try:
            chat = tokenizer.apply_chat_template(
                document.messages,
                tools=document.tools,
                tokenize=False,
                strftime_now=_TODAY.strftime,
                date_string=_TODAY.strftime("%d %b %Y"),
            )
        except (TemplateError, TypeError, ValueError, KeyError):
            chat = None
        if chat is not None and all(name in chat for name in _called(document)):
            ids: list[int] = tokenizer(chat, add_special_tokens=False)["input_ids"]
            return ids
    plain: list[int] = tokenizer(document.text)["input_ids"]
    return plain


def _called(document: Document) -> list[str]:
    """The names of the functions that a chat calls."""
    calls = [
        call for message in document.messages or () for call in message.get("tool_calls") or ()
    ]
    return [call["function"]["name"] for call in calls]
