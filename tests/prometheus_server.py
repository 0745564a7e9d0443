"""A real Prometheus on a port of its own, pointed at a running service."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.prometheus.monitoring import Watched, command, configuration, write_configuration
from services.engine.child import free_port
from services.metrics.exposition import read_values

SCRAPE_INTERVAL_S = 2
DEADLINE_S = 90.0


class Prometheus:
    """What a test asks a running Prometheus."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **parameters: str) -> Any:
        """The data that a route of its API answers with."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; ``NaN`` (a share of nothing) is no sample."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return [sample for sample in found if sample["value"][1] != "NaN"]

    def is_ready(self) -> bool:
        """Whether it answers at all."""
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def discovery_failures(self) -> float:
        """How often the service did not tell its variants."""
        own = self._client.get("/metrics").text
        found = read_values(own, {"prometheus_sd_http_failures_total"})
        return sum(found.get("prometheus_sd_http_failures_total", ()))

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes."""
        found: list[dict[str, Any]] = self.get("targets")["activeTargets"]
        return found


def wait_for(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Poll until a condition holds; ``what`` tells what is there when it never does."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


@contextmanager
def running_prometheus(service: str, folder: Path, key: str = "") -> Iterator[Prometheus]:
    """Start Prometheus on the service, and end it."""
    watched = Watched(url=service, key=key)
    content = configuration(watched, scrape_interval_s=SCRAPE_INTERVAL_S)
    configured = write_configuration(folder, content, watched)
    listen = f"127.0.0.1:{free_port()}"
    log = folder / "prometheus.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command(configured, folder / "data", listen), stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        with httpx.Client(base_url=f"http://{listen}", timeout=30) as client:
            prometheus = Prometheus(client)
            wait_for(prometheus.is_ready, log.read_text)
            yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=20)
