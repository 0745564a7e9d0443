"""Prometheus reaches a service that asks for keys by the key of its file, and by no other.

covers: deploy/prometheus/monitoring.py
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from deploy.prometheus.monitoring import Watched, check_key
from deploy.service import DeployError
from services.engine.child import free_port
from services.engine.supervisor import Supervisor
from services.gateway import GatewayApp, GatewaySettings
from services.http.keys import digest_of
from services.replica import VariantApp
from services.variants import find_variant
from tests.deploy.prometheus.prometheus_tools import needs_prometheus
from tests.prometheus_server import Prometheus, running_prometheus, wait_for
from tests.services.engine.living import living
from tests.services.engine.test_child import spec
from tests.services.engine.test_supervisor import supervisor
from tests.services.test_variants import MANIFEST

KEY = "a-key-of-this-service"
NAME = "gguf-q8_0"


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[str]:
    """The gateway and one variant, with keys, behind uvicorn as they are behind Serve."""
    port = free_port()
    digests = (digest_of(KEY),)
    made = supervisor(folder, spec())
    settings = replace(made.settings, variant=NAME, key_digests=digests)
    variant = replace(find_variant(NAME), engine=spec())
    replica = VariantApp(Supervisor(variant, settings, check=lambda _artifact: MANIFEST))
    gateway = GatewayApp(
        GatewaySettings(
            base_url=f"http://127.0.0.1:{port}",
            variants=(NAME,),
            request_timeout_s=30,
            places=8,
            key_digests=digests,
        )
    )

    async def route(scope: Any, receive: Any, send: Any) -> None:
        prefix = f"/{NAME}"
        if scope["path"].startswith(f"{prefix}/"):
            await replica({**scope, "root_path": prefix}, receive, send)
        else:
            await gateway(scope, receive, send)

    config = uvicorn.Config(route, port=port, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    async with living(replica), living(gateway):
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started:
                await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving


async def _seen(url: str, folder: Path, key: str, enough: Callable[[Prometheus], bool]) -> None:
    """Run Prometheus with a key until it has seen enough."""

    def watch() -> None:
        with running_prometheus(url, folder, key) as prometheus:
            wait_for(lambda: enough(prometheus), prometheus.targets)

    await asyncio.to_thread(watch)


@needs_prometheus
async def test_a_service_with_keys_is_scraped_by_the_key_of_the_file(tmp_path: Path) -> None:
    def is_up(prometheus: Prometheus) -> bool:
        samples = prometheus.query("assay_variant_up == 1")
        return [sample["metric"]["variant"] for sample in samples] == [NAME]

    async with service(tmp_path / "service") as url:
        await _seen(url, tmp_path / "prometheus", KEY, is_up)


@needs_prometheus
async def test_without_its_key_a_service_does_not_even_tell_its_variants(tmp_path: Path) -> None:
    def was_refused(prometheus: Prometheus) -> bool:
        return prometheus.discovery_failures() > 0 and not prometheus.targets()

    async with service(tmp_path / "service") as url:
        await _seen(url, tmp_path / "prometheus", "another-key", was_refused)


async def test_who_has_another_services_key_is_told_before_prometheus_starts(
    tmp_path: Path,
) -> None:
    async with service(tmp_path / "service") as url:
        await asyncio.to_thread(check_key, Watched(url=url, key=KEY))
        for key in ("", "another-key"):
            with pytest.raises(DeployError, match="name the plan that it runs"):
                await asyncio.to_thread(check_key, Watched(url=url, key=key))


async def test_a_service_that_is_not_up_is_no_matter_of_keys(tmp_path: Path) -> None:
    async with service(tmp_path / "service") as url:
        pass
    await asyncio.to_thread(check_key, Watched(url=url, key=""))
