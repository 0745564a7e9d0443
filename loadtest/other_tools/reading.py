"""Reads the result file of another tool, whichever it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadtest.other_tools.foreign_run import ForeignFileError, ForeignRun
from loadtest.other_tools.from_aiperf import (
    is_aiperf,
    is_aiperf_line,
    read_aiperf,
    read_aiperf_lines,
)
from loadtest.other_tools.from_guidellm import is_guidellm, read_guidellm
from loadtest.other_tools.from_vllm_bench import is_vllm_bench, read_vllm_bench

KNOWN = (
    "the JSON of `vllm bench serve --save-result`, AIPerf's profile_export_aiperf.json or "
    "profile_export.jsonl, GuideLLM's benchmarks.json"
)
_READERS = (
    (is_vllm_bench, read_vllm_bench),
    (is_aiperf, read_aiperf),
    (is_guidellm, read_guidellm),
)
_SUMMARY = "profile_export_aiperf.json"


def read_foreign(path: Path) -> ForeignRun:
    """The run of a file.

    Raises:
        ForeignFileError: it is not there, no JSON, of no known tool, or of another shape.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            return _read_lines(path, [json.loads(line) for line in text.splitlines() if line])
        return _read_object(json.loads(text))
    except OSError as error:
        raise ForeignFileError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ForeignFileError(f"{path}: {where}: {first['msg']} (known: {KNOWN})") from None
    except (ValueError, KeyError) as error:
        raise ForeignFileError(f"{path}: {error} (known: {KNOWN})") from None


def _read_object(content: Any) -> ForeignRun:
    if isinstance(content, Mapping):
        for knows, read in _READERS:
            if knows(content):
                return read(content)
    raise ValueError("it is no result of a tool that is known here")


def _read_lines(path: Path, lines: list[Any]) -> ForeignRun:
    if not lines or not all(isinstance(it, Mapping) and is_aiperf_line(it) for it in lines):
        raise ValueError("its lines are no records of AIPerf")
    beside = path.with_name(_SUMMARY)
    summary = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else None
    return read_aiperf_lines(lines, summary)
