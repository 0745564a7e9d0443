"""Both apps open their connections before the first request and close them after the last.

covers: services/gateway.py, services/replica.py
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.engine.life_cycle import State
from services.gateway import GatewayApp, GatewaySettings
from services.replica import VariantApp
from tests.services.engine.test_child import spec
from tests.services.engine.test_supervisor import supervisor

App = Callable[..., Any]


async def live_once(app: App, between: Callable[[], None]) -> list[str]:
    """Start an app up, look at it, shut it down; returns what it answered."""
    sent: list[str] = []
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])
        if message["type"] == "lifespan.startup.complete":
            between()
            await asked.put({"type": "lifespan.shutdown"})

    await asked.put({"type": "lifespan.startup"})
    await app({"type": "lifespan"}, asked.get, send)
    return sent


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_gateways_pool_is_open_while_it_lives() -> None:
    settings = GatewaySettings(
        base_url="http://127.0.0.1:1", variants=(), request_timeout_s=1, places=1
    )
    app = GatewayApp(settings)
    states: list[bool] = []

    def look() -> None:
        assert app._session is not None
        states.append(app._session.closed)

    assert await live_once(app, look) == COMPLETE
    look()
    assert states == [False, True]


async def test_the_variants_engine_is_supervised_while_its_app_lives(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec("--never-ready"))
    app = VariantApp(watched)

    def look() -> None:
        assert app._session is not None
        assert not app._session.closed
        assert watched.status.state is State.STARTING

    assert await live_once(app, look) == COMPLETE
    assert app._session is not None
    assert app._session.closed
    assert watched.status.state is State.STOPPED
