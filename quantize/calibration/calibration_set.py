"""The one calibration set of all calibrated recipes: the same token ids for every tool.

The texts are tokenized by the model's own tokenizer (each with the special tokens it adds),
laid end to end, and cut into equal sequences, so that no tool pads, sorts out or truncates.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from quantize.artifact.manifest import sha256_of_file
from quantize.root import ROOT

BUNDLED = "bundled"
BUNDLED_TEXT = ROOT / "quantize" / "reference_model" / "calibration.jsonl"


class CalibrationError(ValueError):
    """The calibration text is missing, malformed, empty or too short."""


@dataclass(frozen=True, kw_only=True)
class CalibrationPlan:
    """What calibrates: a JSONL file with a ``text`` key, cut to ``samples`` sequences."""

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
    """The plan for ``bundled`` or for a user's JSONL file.

    Raises:
        CalibrationError: the file does not exist, or a size is not positive.
    """
    path = BUNDLED_TEXT if text == BUNDLED else Path(text).expanduser()
    if not path.is_file():
        raise CalibrationError(f"no calibration text at {path}")
    if samples < 1 or sequence_length < 1:
        raise CalibrationError("calibration samples and sequence length must be positive")
    return CalibrationPlan(path=path, samples=samples, sequence_length=sequence_length)


def plan_sha256(plan: CalibrationPlan) -> str:
    """Hash of the text and the sizes: decides the token ids together with a tokenizer."""
    parts = f"{sha256_of_file(plan.path)} {plan.samples} {plan.sequence_length}"
    return hashlib.sha256(parts.encode()).hexdigest()


def read_texts(path: Path) -> list[str]:
    """The non-empty texts of a JSONL file, in order.

    Raises:
        CalibrationError: a line is no JSON object with a string ``text``, or all are empty.
    """
    texts = []
    try:
        # Other ends of lines, such as U+2028, may stand inside a JSON string.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} cannot be read ({error})") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise CalibrationError(f'{path}, line {number}: expected {{"text": "..."}}')
        if text.strip():
            texts.append(text)
    if not texts:
        raise CalibrationError(f"{path} holds no text")
    return texts


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
