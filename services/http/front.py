"""What stands before both of our apps: keys, errors as OpenAI's JSON, and the access log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.http.access_log import AccessLog, Tally
from services.http.asgi import Message, Receive, Scope, Send, request_id, send_error
from services.http.errors import BROKE_OFF, CLIENT_LEFT, RequestError
from services.http.keys import Keyring
from services.http.routes import OPEN_NAMES, named

# Gets the name of the path (``services.http.routes``); returns what the request ended with, where
# it is not what was sent as its status (a stream that was broken off, a client that left).
Handle = Callable[[Scope, Receive, Send, str], Awaitable[int | None]]
logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, kw_only=True)
class Front:
    """Answers one request through ``handle``."""

    name: str
    keyring: Keyring
    log: AccessLog
    handle: Handle

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, hand on, and see to it that whatever goes wrong is told as OpenAI's JSON.

        Serve leaves its route prefix in the path, as ``root_path``.
        """
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        asked = scope["path"].removeprefix(scope.get("root_path", ""))
        path = named(asked)
        tally = Tally(_bodyless(send) if scope["method"] == "HEAD" else send)
        ended: int | None = None
        try:
            if path not in OPEN_NAMES:
                self.keyring.check(scope["headers"])
            ended = await self.handle(scope, receive, tally.send, path)
        except RequestError as error:
            await send_error(tally.send, error)
        except ConnectionResetError:
            ended = CLIENT_LEFT if tally.status is None else BROKE_OFF
        except asyncio.CancelledError:
            ended = CLIENT_LEFT
            raise
        except Exception:
            logger.exception("%s: %s %s failed", self.name, scope["method"], path)
            if tally.status is not None:
                ended = 500
                raise  # breaks the answer off: nothing else can be said any more
            await send_error(tally.send, RequestError(500, "internal error; the log tells more"))
        finally:
            if path not in OPEN_NAMES:
                self._note(scope, asked, tally, ended or tally.status or CLIENT_LEFT)
        return None

    def _note(self, scope: Scope, path: str, tally: Tally, status: int) -> None:
        self.log.write(
            {
                "id": request_id(scope),
                "variant": self.name,
                "method": scope["method"],
                "path": path,
                "status": status,
                "bytes": tally.size_bytes,
                **tally.times(),
            }
        )


def _bodyless(send: Send) -> Send:
    """A ``send`` for HEAD: the answer of GET without its body."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if "body" in message else message)

    return send_head
