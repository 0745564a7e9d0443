"""The service that the faults are tried on: its processes, and what it says of itself."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import psutil

from deploy.service import processes_of
from tests.benches.fault.fault_clients import Client
from tests.benches.harness.own_service import OwnService


class FaultError(RuntimeError):
    """A fault that could not be tried, as what it strikes is not there."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A running service with a ``victim`` and a ``neighbour``."""

    service: OwnService
    session: aiohttp.ClientSession
    victim: str
    neighbour: str

    def client(self, variant: str | None = None, *, gateway: bool = False) -> Client:
        """A client of a variant's own route (the victim's), or of the gateway's."""
        name = variant or self.victim
        address = urlsplit(self.service.url)
        assert address.hostname is not None
        assert address.port is not None
        return Client(address.hostname, address.port, "" if gateway else f"/{name}", name)

    def processes(self) -> list[psutil.Process]:
        """All processes of the deployment."""
        return processes_of(self.service.record.deployment, self.service.record.ray_folder)

    def _find(self, what: str, pattern: str) -> list[psutil.Process]:
        found = []
        for process in self.processes():
            try:
                if re.search(pattern, " ".join(process.cmdline())):
                    found.append(process)
            except psutil.Error:
                continue
        if not found:
            raise FaultError(f"the service has no {what}")
        return found

    def engine(self, variant: str | None = None) -> psutil.Process:
        """The engine process of a variant."""
        name = re.escape(variant or self.victim)
        return self._find("engine", rf"services\.server .*--served-name {name} ")[0]

    def replica(self, variant: str | None = None) -> psutil.Process:
        """The Ray worker that owns a variant's engine."""
        return self._find("replica", rf"^ray::ServeReplica:{re.escape(variant or self.victim)}:")[0]

    def haproxy(self) -> list[psutil.Process]:
        """HAProxy's workers (one; more while it reloads)."""
        return self._find("HAProxy", r"haproxy \S*.*-f ")

    async def health(self, variant: str | None = None) -> dict[str, object]:
        """What a variant says of itself; empty where nobody answers."""
        url = f"{self.service.url}/{variant or self.victim}/healthz"
        try:
            async with asyncio.timeout(10), self.session.get(url) as answer:
                content = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return {}
        return content if isinstance(content, dict) else {}

    async def metric(self, pattern: str) -> float:
        """The sum of the victim's series whose name matches.

        Raises:
            FaultError: there are none, or nobody answers.
        """
        url = f"{self.service.url}/{self.victim}/metrics"
        try:
            async with asyncio.timeout(10), self.session.get(url) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FaultError(f"{url}: {error!r}") from None
        lines = [line for line in text.splitlines() if re.match(rf"\w*{pattern}(\{{| )", line)]
        if not lines:
            raise FaultError(f"{url} has no series *{pattern}")
        return sum(float(line.rpartition(" ")[2]) for line in lines)
