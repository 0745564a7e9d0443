"""A running service as the benchmark sees it: where to ask, and whose the processes are."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from deploy.service import ServiceRecord, processes_of


@dataclass(frozen=True, kw_only=True)
class Child:
    """A variant's engine, as only the benchmark may reach it."""

    port: int
    key: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class BenchService:
    """What runs: where Serve listens, the engines behind it, and whose processes they are."""

    port: int
    children: Mapping[str, Child]
    record: ServiceRecord

    def roles(self) -> dict[str, list[psutil.Process]]:
        """The processes by what they do for a request."""
        found: dict[str, list[psutil.Process]] = {"HAProxy": [], "replicas": [], "Ray": []}
        engines = {
            process.pid: process
            for child in self.children.values()
            for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children(True))
        }
        found["engines"] = list(engines.values())
        for process in processes_of(self.record.deployment, self.record.ray_folder):
            if process.pid in engines:
                continue
            try:
                role = "HAProxy" if process.name().startswith("haproxy") else "Ray"
                role = "replicas" if "ServeReplica" in " ".join(process.cmdline()) else role
            except psutil.Error:
                continue  # One of Ray's idle workers, which come and go.
            found[role].append(process)
        return found
