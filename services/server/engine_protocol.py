"""uvicorn's HTTP/1.1 with one thing more: an application may see the connection it answers on."""

from asyncio import Transport
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# Where among a scope's extensions the connection's transport is.
TRANSPORT = "assay.transport"


class EngineProtocol(H11Protocol):
    """Names each connection's transport in the scope of its requests."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has connected; uvicorn narrows the type as well."""
        super().connection_made(transport)
        self.app: Any = _beside(self.app, transport)


def _beside(app: ASGIApp, transport: Transport) -> ASGIApp:
    async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), TRANSPORT: transport}
        await app(scope, receive, send)

    return with_transport
