"""An engine's answer on its way to the client, with the calls in it told as OpenAI tells them."""

import json
from typing import Any

from services.http.asgi import Message, Send, header
from services.http.event_stream import CONTENT_TYPE
from services.http.tool_calls import CallReader, Reading

_DATA = b"data: "
_END = b"\n\n"


class CallingAnswer:
    """An ASGI ``send`` that reads calls out of what passes: whole events, or one whole body."""

    def __init__(self, send: Send, reading: Reading) -> None:
        self._send = send
        self._reading = reading
        self._readers: dict[int, CallReader] = {}
        self._streams = False
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Pass a message on, or hold it until the answer is whole."""
        if message["type"] == "http.response.start":
            kind = header(message["headers"], b"content-type") or ""
            self._streams = kind.startswith(CONTENT_TYPE)
            return await self._send(message)
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._streams:
            events = b"".join(map(self._event, _events(body)))
            return await self._send({**message, "body": events})
        self._body += body
        if not more:
            await self._send({**message, "body": self._whole(self._body)})
        return None

    def _whole(self, body: bytes) -> bytes:
        answer = _object(body)
        for choice in (answer or {}).get("choices", ()):
            reader, message = CallReader(self._reading), choice["message"]
            said, calls = reader.feed(message.get("content") or "")
            rest, last = reader.finish()
            text = said + rest
            message["content"] = text if text.strip() or not reader.count else None
            if reader.count:
                message["tool_calls"] = [_without_index(call) for call in calls + last]
            choice["finish_reason"] = self._reason(choice.get("finish_reason"), reader)
        return body if answer is None else json.dumps(answer).encode()

    def _event(self, event: bytes) -> bytes:
        answer = _object(event.removeprefix(_DATA)) if event.startswith(_DATA) else None
        if answer is None or not answer.get("choices"):
            return event + _END
        for choice in answer["choices"]:
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
        return _DATA + json.dumps(answer, separators=(",", ":")).encode() + _END

    def _reason(self, told: Any, reader: CallReader) -> Any:
        """OpenAI's word for an answer of calls; a tool that was named leaves the model's own."""
        is_calls = told == "stop" and reader.count and self._reading.tool is None
        return "tool_calls" if is_calls else told


def _events(body: bytes) -> list[bytes]:
    return [event for event in body.replace(b"\r\n", b"\n").split(_END) if event]


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}
