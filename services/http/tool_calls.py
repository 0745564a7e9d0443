"""What a model wrote as calls of tools, read as such from whole answers and from streams.

Models write a call as an object of ``name`` and ``arguments`` between ``<tool_call>`` and
``</tool_call>`` (Hermes, Qwen and most open models since). An answer that a grammar holds to is a
list of such objects, or the arguments of one tool alone.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
Call = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How an answer is read: ``tool`` is whose arguments it is, ``listed`` that it is a list.

    Else it is text that calls may stand in. ``parallel``: more than one call counts.
    """

    tool: str | None = None
    listed: bool = False
    parallel: bool = True

    @property
    def is_json(self) -> bool:
        """Whether a grammar made the whole answer JSON."""
        return self.listed or self.tool is not None


class CallReader:
    """Reads one answer as it comes.

    Text that may yet become a call is held back. What was to be a call and is none is text.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._held = ""
        self._is_behind_call = False
        self.count = 0

    def feed(self, text: str) -> tuple[str, list[Call]]:
        """Take a piece; returns the text that is now certain, and the calls that are complete."""
        self._held += text
        said, calls = "", list[Call]()
        if self._reading.is_json:
            return said, calls
        while (start := self._held.find(OPEN)) >= 0:
            end = self._held.find(CLOSE, start)
            if end < 0:
                return said + self._release(start), calls
            call = _call_of(self._held[start + len(OPEN) : end])
            said += self._release(start if call else end + len(CLOSE))
            if call:
                self._held = self._held[end + len(CLOSE) - start :]
                calls += self._numbered([call])
                self._is_behind_call = True
        keep = _beginning(self._held)
        return said + self._release(len(self._held) - keep), calls

    def finish(self) -> tuple[str, list[Call]]:
        """The rest: models may end within a call whose object is complete."""
        rest, self._held = self._held, ""
        calls = self._calls_of(rest)
        return ("", self._numbered(calls)) if calls else (rest, [])

    def _calls_of(self, rest: str) -> list[Call]:
        if self._reading.tool is not None:
            arguments = _json_of(rest)
            return [_call(self._reading.tool, arguments)] if isinstance(arguments, dict) else []
        if self._reading.listed:
            return [call for item in _whole_items(rest) if (call := _call_in(item)) is not None]
        call = _call_of(rest.removeprefix(OPEN)) if rest.startswith(OPEN) else None
        return [call] if call else []

    def _release(self, length: int) -> str:
        said, self._held = self._held[:length], self._held[length:]
        if self._is_behind_call:
            # Between calls, and after them, models break lines.
            said = said.lstrip()
            self._is_behind_call = not said
        return said

    def _numbered(self, calls: Sequence[Call]) -> list[Call]:
        """Calls with their places; beyond the first none where one alone is wanted."""
        kept = list(calls) if self._reading.parallel else list(calls[: max(0, 1 - self.count)])
        numbered = [{"index": self.count + i, **call} for i, call in enumerate(kept)]
        self.count += len(numbered)
        return numbered


def _beginning(text: str) -> int:
    """How much of a text's end may be the beginning of a call."""
    for length in range(min(len(OPEN) - 1, len(text)), 0, -1):
        if OPEN.startswith(text[-length:]):
            return length
    return 0


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _whole_items(text: str) -> Iterator[Any]:
    """The items of a list that may have been cut off, but for one that was."""
    decoder, place = json.JSONDecoder(), text.find("[") + 1
    while place < len(text):
        place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
        try:
            item, place = decoder.raw_decode(text, place)
        except ValueError:
            return
        yield item


def _call_of(written: str) -> Call | None:
    return _call_in(_json_of(written))


def _call_in(content: Any) -> Call | None:
    """A call of an object; Llama's kin write ``parameters``."""
    if not isinstance(content, dict) or not isinstance(name := content.get("name"), str):
        return None
    arguments = content.get("arguments", content.get("parameters", {}))
    return _call(name, arguments) if isinstance(arguments, dict) else None


def _call(name: str, arguments: dict[str, Any]) -> Call:
    """As OpenAI writes a call; its arguments are text."""
    text = json.dumps(arguments, ensure_ascii=False)
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": name, "arguments": text},
    }
