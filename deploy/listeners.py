"""Where a running service is heard, of which its address is only one."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from deploy.api_keys import is_loopback
from deploy.service import ServiceRecord, processes_of


def listening(process: psutil.Process) -> list[tuple[str, int]]:
    """The addresses and ports at which a process listens."""
    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return []
    return [(item.laddr.ip, item.laddr.port) for item in found if item.status == psutil.CONN_LISTEN]


def heard_beyond(record: ServiceRecord) -> Iterator[tuple[str, str, int]]:
    """What of a deployment others can reach beside its own port: process, address and port.

    Serve's replicas call each other at a port that Ray opens on all interfaces
    (``ray/serve/_private/replica.py``, ``[::]:0``), to whoever has the deployment's token.
    """
    own = urlsplit(record.url).port
    for process in processes_of(record.deployment, record.ray_folder):
        for address, port in listening(process):
            if port != own and not is_loopback(address):
                yield process.name(), address, port
