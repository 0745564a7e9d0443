"""An engine's answer on its way to the client, with the calls in it told as OpenAI tells them."""

from typing import Any

from services.http.asgi import Send
from services.http.edited_answer import Answer, EditedAnswer
from services.http.tool_calls import CallReader, Reading


class CallingAnswer(EditedAnswer):
    """Reads calls out of what passes."""

    def __init__(self, send: Send, reading: Reading) -> None:
        super().__init__(send)
        self._reading = reading
        self._readers: dict[int, CallReader] = {}

    def edit(self, answer: Answer) -> bool:
        """Read the calls of every choice."""
        for choice in answer.get("choices", ()):
            reader, message = CallReader(self._reading), choice["message"]
            said, calls = reader.feed(message.get("content") or "")
            rest, last = reader.finish()
            text = said + rest
            message["content"] = text if text.strip() or not reader.count else None
            if reader.count:
                message["tool_calls"] = [_without_index(call) for call in calls + last]
            choice["finish_reason"] = self._reason(choice.get("finish_reason"), reader)
        return True

    def edit_event(self, answer: Answer) -> bool:
        """Read on in every choice, which may have begun in an event before."""
        for choice in answer.get("choices") or ():
            reader = self._readers.setdefault(choice["index"], CallReader(self._reading))
            delta = choice["delta"]
            said, calls = reader.feed(delta.pop("content", None) or "")
            if choice.get("finish_reason") is not None:
                rest, last = reader.finish()
                said, calls = said + rest, calls + last
                choice["finish_reason"] = self._reason(choice["finish_reason"], reader)
            if said or "role" in delta:
                delta["content"] = said
            if calls:
                delta["tool_calls"] = calls
        return bool(answer.get("choices"))

    def _reason(self, told: Any, reader: CallReader) -> Any:
        """OpenAI's word for an answer of calls; a tool that was named leaves the model's own."""
        is_calls = told == "stop" and reader.count and self._reading.tool is None
        return "tool_calls" if is_calls else told


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}
