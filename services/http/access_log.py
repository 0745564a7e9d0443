"""One line of JSON per answered request: who waited how long for what, and never what was said."""

import json
import logging
import time
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path

from services.http.asgi import Message, Send

MAX_BYTES = 8 * 2**20
KEPT_FILES = 3


class Tally:
    """Passes an answer on and notes its status, bytes and times."""

    def __init__(self, send: Send) -> None:
        self.status: int | None = None
        self.size_bytes = 0
        self.began = time.monotonic()
        self.first_body: float | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        """ASGI's ``send``."""
        if message["type"] == "http.response.body":
            if self.first_body is None:
                self.first_body = time.monotonic()
            self.size_bytes += len(message.get("body", b""))
        else:
            self.status = message["status"]
        await self._send(message)

    def times(self) -> dict[str, float | None]:
        """Seconds since the request's arrival: now, and when the body began."""
        first = None if self.first_body is None else round(self.first_body - self.began, 6)
        return {"duration_s": round(time.monotonic() - self.began, 6), "ttfb_s": first}


class _Quiet(RotatingFileHandler):
    """A full disk costs lines of the log, and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: a complaint per request would fill another log."""


class AccessLog:
    """Rotating lines of JSON, ``KEPT_FILES`` old files of ``MAX_BYTES`` beside the current one.

    ``path`` None keeps no log.
    """

    def __init__(self, path: Path | None) -> None:
        self._handler: _Quiet | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _Quiet(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, delay=True)

    def write(self, fields: Mapping[str, object]) -> None:
        """Add one line."""
        if self._handler is not None:
            line = json.dumps({"time_s": round(time.time(), 3), **fields}, separators=(",", ":"))
            self._handler.emit(logging.LogRecord("access", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()
