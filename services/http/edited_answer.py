"""An engine's answer on its way to the client, edited as it passes."""

import json
from abc import ABC, abstractmethod
from typing import Any

from services.http.asgi import Message, Send, header
from services.http.event_stream import CONTENT_TYPE

Answer = dict[str, Any]

_DATA = b"data: "
_END = b"\n\n"


class EditedAnswer(ABC):
    """An ASGI ``send`` that edits what passes: whole events, or one whole body.

    What is right, and what is no JSON object, passes as it is.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
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

    @abstractmethod
    def edit(self, answer: Answer) -> bool:
        """Edit a whole answer in place; False where it is right as it came."""

    @abstractmethod
    def edit_event(self, answer: Answer) -> bool:
        """The same of what one event of a stream tells."""

    def _whole(self, body: bytes) -> bytes:
        answer = _object(body)
        changed = answer is not None and self.edit(answer)
        return json.dumps(answer).encode() if changed else body

    def _event(self, event: bytes) -> bytes:
        answer = _object(event.removeprefix(_DATA)) if event.startswith(_DATA) else None
        if answer is None or not self.edit_event(answer):
            return event + _END
        return _DATA + json.dumps(answer, separators=(",", ":")).encode() + _END


def _events(body: bytes) -> list[bytes]:
    return [event for event in body.replace(b"\r\n", b"\n").split(_END) if event]


def _object(body: bytes) -> Answer | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
