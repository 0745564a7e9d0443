"""The product's own replica, but for two things: which variant it runs, and that it tells where."""

from ray import serve

from quantize.artifact.manifest import read_manifest
from services.engine.engine_settings import ReplicaSettings
from services.engine.supervisor import Supervisor
from services.http.errors import RequestError
from services.replica import VariantApp
from services.variants import find_variant
from tests.benches.serving.null_variant import NAME, NULL_VARIANT


@serve.ingress()
class BenchReplica:
    """Runs the null engine, or any variant of the table."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> VariantApp:
        name = self._settings.variant
        variant = NULL_VARIANT if name == NAME else find_variant(name)
        # Whoever deploys has checked the artifact, once for all replicas.
        self._supervisor = Supervisor(variant, self._settings, check=read_manifest)
        return VariantApp(self._supervisor)

    async def child(self) -> tuple[int, str, int] | None:
        """Port, key and process of the engine; None while it is not ready."""
        try:
            child = self._supervisor.ready_child()
        except RequestError:
            return None
        assert child.process is not None
        return child.launch.port, child.launch.api_key, child.process.pid

    async def reason(self) -> str:
        """Where the engine stands, for who waits for it in vain."""
        status = self._supervisor.status
        return f"{status.state}: {status.reason}"
