"""The Serve deployments: thin, so that the apps they run need no Ray to be tested.

Both build their app after the constructor (late-bound ingress).
"""

import asyncio

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from services.engine.engine_settings import ReplicaSettings
from services.engine.supervisor import Supervisor
from services.gateway import GatewayApp, GatewaySettings
from services.replica import VariantApp
from services.residency.owner import Owner, Report
from services.residency.resident import Ask, OwnerGoneError
from services.variants import find_variant


def owner_of(application: str) -> Ask:
    """How a replica asks the owner, which is that Serve application's ingress deployment."""
    handles: list[DeploymentHandle] = []

    async def ask(report: Report) -> bool:
        try:
            if not handles:
                handles.append(await asyncio.to_thread(serve.get_app_handle, application))
            return bool(await handles[0].tell.remote(report))
        except (RayError, RayServeException, TimeoutError) as error:
            raise OwnerGoneError(str(error)) from None

    return ask


@serve.ingress()
class VariantReplica:
    """One variant: its replica owns one engine process."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> VariantApp:
        supervisor = Supervisor(find_variant(self._settings.variant), self._settings)
        owner = self._settings.owner
        self._app = VariantApp(
            supervisor,
            node=ray.util.get_node_ip_address(),
            ask=None if owner is None else owner_of(owner),
        )
        return self._app

    async def drain(self, timeout_s: float) -> int:
        """Called before the service stops; returns how many requests were still open then."""
        return await self._app.drain(timeout_s)


@serve.ingress()
class Gateway:
    """``/v1`` for all variants; where not all are awake at once, the owner who says which are."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> GatewayApp:
        needs = self._settings.residency
        self._owner = None if needs is None else Owner(needs)
        return GatewayApp(self._settings)

    async def tell(self, report: Report) -> bool:
        """Whether the variant that reports may be awake (``Owner.tell``)."""
        assert self._owner is not None
        return await self._owner.tell(report)
