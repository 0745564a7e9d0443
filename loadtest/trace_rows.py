"""A recorded trace as rows: when each request came, how long it was, and what it shared.

Three formats are read, told apart by the names in their first line:

- Mooncake's JSONL (kvcache-ai/Mooncake): ``timestamp`` (ms), ``input_length``, ``output_length``,
  and ``hash_ids``, one for every block of 512 tokens; equal ids are equal blocks.
- Azure's LLM inference CSV (Azure/AzurePublicDataset): ``TIMESTAMP`` (a date and time),
  ``ContextTokens``, ``GeneratedTokens``.
- BurstGPT's CSV (HPMLL/BurstGPT), or JSONL with the same names: ``Timestamp`` (s), ``Request
  tokens``, ``Response tokens``. What has no response failed when it was recorded, and is left out.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from loadtest.prompts import PromptError

_LARGEST = 2**63
_Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TracedRequest:
    """One request: seconds after some zero, tokens of prompt and answer, ids of its blocks."""

    at_s: float
    prompt_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...] = ()


def read_trace(path: Path) -> list[TracedRequest]:
    """The requests of a trace in order of time, the first at 0 s.

    Raises:
        PromptError: it cannot be read, is of none of the three formats, or a line of it is
            malformed, whose number is said.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            found = [request for request in _requests(path, stream) if request is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"load.trace: {path} cannot be read ({error})") from None
    if not found:
        raise PromptError(f"load.trace: {path} holds no request")
    first_s = min(request.at_s for request in found)
    moved = (replace(request, at_s=request.at_s - first_s) for request in found)
    return sorted(moved, key=lambda request: request.at_s)


def _requests(path: Path, stream: TextIO) -> Iterator[TracedRequest | None]:
    """Every line as a request; None where it is one to be left out."""
    first = stream.readline()
    is_json = first.lstrip().startswith("{")
    names = [] if is_json else next(csv.reader([first]), [])
    read = _json_form(first) if is_json else _form_of(names)
    if read is None:
        known = "Mooncake's timestamp, input_length, …; Azure's TIMESTAMP, ContextTokens, …; or "
        known += "BurstGPT's Timestamp, Request tokens, …"
        raise PromptError(f"load.trace: {path}, line 1: names neither {known}")
    lines = enumerate([first, *stream] if is_json else stream, start=1 if is_json else 2)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield read(_object(line) if is_json else _cells(names, line))
        except KeyError as error:
            why = f"no {error}"
        except (ValueError, TypeError, RecursionError, csv.Error) as error:
            why = str(error)
        else:
            continue
        raise PromptError(f"load.trace: {path}, line {number}: {why}")


def _json_form(line: str) -> "_Form | None":
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return _mooncake  # which tells what is wrong with the line
    return _form_of(list(row))


def _object(line: str) -> _Row:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    return row


def _cells(names: list[str], line: str) -> _Row:
    cells = next(csv.reader([line], strict=True))
    if len(cells) != len(names):
        raise ValueError(f"{len(cells)} columns where line 1 names {len(names)}")
    return dict(zip(names, cells, strict=True))


_Form = Callable[[_Row], TracedRequest | None]


def _form_of(names: list[str]) -> _Form | None:
    """What reads rows of these names; None of an unknown format."""
    forms = {"input_length": _mooncake, "ContextTokens": _azure, "Request tokens": _burst_gpt}
    return next((read for name, read in forms.items() if name in names), None)


def _mooncake(row: _Row) -> TracedRequest:
    hash_ids = row.get("hash_ids", [])
    if not isinstance(hash_ids, list):
        raise ValueError(f"hash_ids: {hash_ids!r} is no list")
    return TracedRequest(
        at_s=_number(row, "timestamp") / 1000,
        prompt_tokens=_count(row, "input_length"),
        output_tokens=_count(row, "output_length"),
        hash_ids=tuple(_count({"hash_ids": it}, "hash_ids", least=0) for it in hash_ids),
    )


def _azure(row: _Row) -> TracedRequest:
    at = datetime.fromisoformat(row["TIMESTAMP"])
    return TracedRequest(
        at_s=(at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(),
        prompt_tokens=_count(row, "ContextTokens"),
        output_tokens=_count(row, "GeneratedTokens"),
    )


def _burst_gpt(row: _Row) -> TracedRequest | None:
    output_tokens = _count(row, "Response tokens", least=0)
    if not output_tokens:
        return None
    return TracedRequest(
        at_s=_number(row, "Timestamp"),
        prompt_tokens=_count(row, "Request tokens"),
        output_tokens=output_tokens,
    )


def _number(row: _Row, name: str) -> float:
    value = row[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{name}: {value!r} is no number")
    return number


def _count(row: _Row, name: str, *, least: int = 1) -> int:
    number = _number(row, name)
    if number != int(number) or not least <= number < _LARGEST:
        raise ValueError(f"{name}: {row[name]!r} is no whole number from {least} on")
    return int(row[name]) if isinstance(row[name], int) else int(number)
