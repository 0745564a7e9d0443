"""Pages in a browser: which of other origins may use the endpoints, as the plan says.

Without ``serving.cors_origins`` none may, and a browser that asks beforehand (its preflight, which
carries no key) is told so. The protocol is WHATWG's Fetch, section 3.2; Starlette speaks it.
"""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.http.asgi import header, send_error
from services.http.errors import RequestError

ANY = "*"
_METHODS = ("GET", "HEAD", "POST")
_EXPOSED = ("x-request-id", "retry-after")


class CrossOrigin:
    """Around an app: answers preflights, and names the origin on the answers to pages it allows.

    Around an app that does the same, the outer one decides, and nothing stands there twice.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        self._origins = origins
        self._app = app
        if origins:
            self._app = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=_METHODS,
                allow_headers=[ANY],
                expose_headers=_EXPOSED,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        origin = _asking_origin(scope)
        if origin is None or origin in self._origins or ANY in self._origins:
            return await self._app(scope, receive, send)
        allowed = ", ".join(self._origins) or "none"
        message = (
            f"pages of {origin} may not use this service: name their origin in the plan's "
            f"serving.cors_origins (now: {allowed})"
        )
        return await send_error(send, RequestError(403, message, code="origin_not_allowed"))


def _asking_origin(scope: Scope) -> str | None:
    """The origin whose page asks beforehand; None where the request is no preflight."""
    if scope["type"] != "http" or scope.get("method") != "OPTIONS":
        return None
    if header(scope["headers"], b"access-control-request-method") is None:
        return None
    return header(scope["headers"], b"origin")
