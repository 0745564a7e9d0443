"""Hosts of a network on one machine: namespaces with a network, ``/tmp`` and shared memory each.

Needs root and iproute2. Nothing leaves the machine: the network has no way out.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "assay-test-"
# A host's own /tmp and shared memory, as on a machine of its own; both go with its last process.
_ENTER = 'mount --bind "$0" /tmp && mount -t tmpfs tmpfs /dev/shm && exec "$@"'


def why_not() -> str | None:
    """Why there can be no network namespaces here; None: there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2 (apt-get install iproute2)"
    probe = f"{PREFIX}{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


@dataclass(frozen=True, kw_only=True)
class Host:
    """One machine of the network, as far as its programs can tell."""

    namespace: str
    address: str
    folder: Path

    def command(self, *words: str) -> list[str]:
        """The command line that runs a program on this host."""
        enter = ["sh", "-c", _ENTER, str(self.folder)]
        return ["ip", "netns", "exec", self.namespace, *enter, *words]

    def run(
        self, *words: str, env: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here and return what it said (both streams as one)."""
        return subprocess.run(
            self.command(*words),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )

    def kill(self) -> int:
        """SIGKILL to everything that runs here, as if the power had gone; returns how many."""
        count = 0
        while pids := _ip("netns", "pids", self.namespace).split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            count += len(pids)
            time.sleep(0.1)
        return count


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts with a cable between them; all that runs on them ends with the block."""
    _reap()
    hosts = [
        Host(
            namespace=f"{PREFIX}{os.getpid()}-{name}",
            address=f"10.205.0.{number}",
            folder=folder / name,
        )
        for number, name in ((1, "a"), (2, "b"))
    ]
    first, second = hosts
    try:
        for host in hosts:
            host.folder.mkdir()
            _ip("netns", "add", host.namespace)
        ends = ("peer", "name", "cable", "netns", second.namespace)
        _ip("link", "add", "cable", "netns", first.namespace, "type", "veth", *ends)
        for host in hosts:
            inside = ("-n", host.namespace)
            _ip(*inside, "addr", "add", f"{host.address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip(*inside, "link", "set", device, "up")
        yield first, second
    finally:
        for host in hosts:
            _remove(host.namespace)


def _remove(namespace: str) -> None:
    if namespace in _namespaces():
        Host(namespace=namespace, address="", folder=Path()).kill()
        _ip("netns", "del", namespace)


def _namespaces() -> Sequence[str]:
    return [line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()]


def _reap() -> None:
    """Remove what a killed test run left."""
    for name in _namespaces():
        owner = name.removeprefix(PREFIX).partition("-")[0]
        if name.startswith(PREFIX) and not Path(f"/proc/{owner}").exists():
            _remove(name)


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
