"""The Serve deployments: thin, so that the apps they run need no Ray to be tested.

Both build their app after the constructor (late-bound ingress).
"""

import ray
from ray import serve

from services.engine.engine_settings import ReplicaSettings
from services.engine.supervisor import Supervisor
from services.gateway import GatewayApp, GatewaySettings
from services.replica import VariantApp
from services.variants import find_variant


@serve.ingress()
class VariantReplica:
    """One variant: its replica owns one engine process."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> VariantApp:
        supervisor = Supervisor(find_variant(self._settings.variant), self._settings)
        self._app = VariantApp(supervisor, node=ray.util.get_node_ip_address())
        return self._app

    async def drain(self, timeout_s: float) -> int:
        """Called before the service stops; returns how many requests were still open then."""
        return await self._app.drain(timeout_s)


@serve.ingress()
class Gateway:
    """``/v1`` for all variants."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> GatewayApp:
        return GatewayApp(self._settings)
