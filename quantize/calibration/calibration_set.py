"""The one calibration set of all calibrated recipes: the same token ids for every tool.

The texts are tokenized by the model's own tokenizer (each with the special tokens it adds; chats
through the model's own template), laid end to end, and cut into equal sequences, so that no tool
pads, sorts out or truncates.

A JSONL file holds one object a line: ``{"text": ...}``, or ``{"messages": [...]}`` as chat
completions take them, with ``tools`` where the chat has some. Other keys are passed over. A file
that ends in ``.txt`` is one text.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quantize.artifact.manifest import sha256_of_file
from quantize.root import ROOT

BUNDLED, GENERAL = "bundled", "general"
BUNDLED_TEXT = ROOT / "quantize" / "reference_model" / "calibration.jsonl"
GENERAL_TEXT = ROOT / "quantize" / "calibration" / "general.jsonl"
TEXTS = {BUNDLED: BUNDLED_TEXT, GENERAL: GENERAL_TEXT}


class CalibrationError(ValueError):
    """The calibration text is missing, malformed, empty or too short."""


@dataclass(frozen=True, kw_only=True)
class CalibrationPlan:
    """What calibrates: a file of texts, cut to ``samples`` sequences."""

    path: Path
    samples: int
    sequence_length: int

    @property
    def tokens(self) -> int:
        """How many tokens the set holds."""
        return self.samples * self.sequence_length

    def resolved(self) -> "CalibrationPlan":
        """The same for a process in another folder: its path made absolute."""
        return replace(self, path=self.path.resolve())


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What a job replies that used a plan: the hash of its token ids (None: it used none)."""

    calibration_sha256: str | None


def calibration_plan(text: str, samples: int, sequence_length: int) -> CalibrationPlan:
    """The plan for ``bundled``, ``general``, or a user's file.

    Raises:
        CalibrationError: the file does not exist, or a size is not positive.
    """
    path = TEXTS.get(text) or Path(text).expanduser()
    if not path.is_file():
        raise CalibrationError(f"no calibration text at {path}")
    if samples < 1 or sequence_length < 1:
        raise CalibrationError("calibration samples and sequence length must be positive")
    return CalibrationPlan(path=path, samples=samples, sequence_length=sequence_length)


def plan_sha256(plan: CalibrationPlan) -> str:
    """Hash of the text and the sizes: decides the token ids together with a tokenizer."""
    parts = f"{sha256_of_file(plan.path)} {plan.samples} {plan.sequence_length}"
    return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of the set; of a chat ``text`` is what it reads like without any template."""

    text: str
    messages: Sequence[Mapping[str, Any]] | None = None
    tools: Sequence[Mapping[str, Any]] | None = None


def read_texts(path: Path) -> list[str]:
    """The non-empty texts of a file, in order; raises what ``read_documents`` raises."""
    return [document.text for document in read_documents(path)]


def read_documents(path: Path) -> list[Document]:
    """The documents of a file that hold any text, in order.

    Raises:
        CalibrationError: a line is no object with ``text`` or ``messages``, or all are empty.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} cannot be read ({error})") from None
    if path.suffix.lower() == ".txt":
        documents = [Document(text=content)]
    else:
        # Other ends of lines, such as U+2028, may stand inside a JSON string.
        lines = enumerate(content.split("\n"), start=1)
        documents = [_document(path, number, line) for number, line in lines if line.strip()]
    documents = [document for document in documents if document.text.strip()]
    if not documents:
        raise CalibrationError(f"{path} holds no text")
    return documents


def _document(path: Path, number: int, line: str) -> Document:
    expected = f'{path}, line {number}: expected {{"text": "..."}} or {{"messages": [...]}}'
    try:
        row = json.loads(line)
        text, messages, tools = row.get("text"), row.get("messages"), row.get("tools")
        if text is None:
            text = plain_chat(messages)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CalibrationError(expected) from None
    if not isinstance(text, str):
        raise CalibrationError(expected)
    return Document(text=text, messages=messages, tools=tools)


def plain_chat(messages: Sequence[Mapping[str, Any]]) -> str:
    """A chat as text: who speaks, and what; a call of a function as its JSON.

    Raises:
        KeyError, TypeError, AttributeError: it is no list of messages.
    """
    turns = []
    for message in messages:
        calls = [json.dumps(call["function"]) for call in message.get("tool_calls") or ()]
        said = "\n".join([message.get("content") or "", *calls]).strip()
        turns.append(f"{message['role'].capitalize()}: {said}")
    return "\n\n".join(turns)


def pack(documents: Iterable[list[int]], plan: CalibrationPlan) -> list[list[int]]:
    """Lay tokenized documents end to end and cut them: (samples, sequence_length) token ids.

    Raises:
        CalibrationError: there are fewer tokens than the plan asks for.
    """
    stream: list[int] = []
    for document in documents:
        stream += document
        if len(stream) >= plan.tokens:
            break
    if len(stream) < plan.tokens:
        fitting = len(stream) // plan.sequence_length
        raise CalibrationError(
            f"{plan.path} is too short: {len(stream)} tokens, but {plan.samples} samples of "
            f"{plan.sequence_length} need {plan.tokens}; "
            + (f"ask for at most {fitting} samples or " if fitting else "")
            + "give more text"
        )
    starts = range(0, plan.tokens, plan.sequence_length)
    return [stream[start : start + plan.sequence_length] for start in starts]


def token_sha256(sequences: Iterable[list[int]]) -> str:
    """Hash of the token ids themselves (little-endian uint32, in order)."""
    digest = hashlib.sha256()
    for sequence in sequences:
        ids = array("I", sequence)
        assert ids.itemsize == 4
        digest.update(ids.tobytes())
    return digest.hexdigest()
