"""Bring a plan's service up in the background, and wait until every variant is ready."""

import errno
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.haproxy.ingress import SWITCH
from deploy.health import health, is_up
from deploy.plan import Plan
from deploy.ray_folder import make_ray_folder
from deploy.service import (
    MARK,
    RUN_DIR,
    STOP_GRACE_S,
    DeployError,
    ServiceRecord,
    read_record,
    stop,
)
from deploy.settings import fingerprint
from quantize.artifact.manifest import ArtifactError
from quantize.jobs.lifeline import OWNER_VARIABLE, start_time
from quantize.jobs.log_tail import log_tail
from quantize.jobs.surroundings import direct, foreign
from quantize.root import ROOT

POLL_S = 0.5
HOST_LOG = RUN_DIR / "host.log"
# Which key of the plan is to be changed, and why, by what the kernel says.
_PORT_REMEDIES: Mapping[int, tuple[str, str]] = {
    errno.EADDRINUSE: ("port", "another program listens there; choose another port"),
    errno.EACCES: ("port", "ports below 1024 are root's; choose another port"),
}
Say = Callable[[str], None]


def new_record(plan: Plan, ray_address: str | None = None) -> ServiceRecord:
    """The record of a service whose host is this process (a guest where there is an address)."""
    started = start_time(os.getpid())
    assert started is not None
    return ServiceRecord(
        # Ray and all it starts inherit it; a host started by hand gives itself one.
        deployment=os.environ.setdefault(MARK, uuid.uuid4().hex),
        host_pid=os.getpid(),
        host_started=started,
        url=plan.serving.url,
        plan=plan.name,
        fingerprint=fingerprint(plan),
        variants=tuple(plan.variants),
        ray_folder=make_ray_folder(),
        ray_address=ray_address,
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """What came up: whether anything had to be started, and why variants failed, by name."""

    started: bool
    failed: Mapping[str, str]


def up(
    plan: Plan,
    command: list[str],
    say: Say,
    *,
    owned: bool,
    needed: Collection[str],
    ray_address: str | None = None,
) -> Served:
    """Serve the plan; returns when every variant is ready or has failed.

    ``command`` are the arguments that give the host process this same plan, and ``ray_address``
    the existing cluster to serve it on (a comparison uses whatever serves its plan). An ``owned``
    service ends with this process, however it ends; any other runs until ``down``. An owned one
    never takes the place of a service that the user started.

    Raises:
        DeployError: the host died, or a variant of ``needed`` failed; everything is stopped again.
            Or another service runs that an owned one would have to stop.
    """
    wanted = fingerprint(plan)
    record = read_record()
    if record is not None:
        if record.is_alive() and _serves(record, wanted, owned, ray_address):
            return Served(started=False, failed=_await_ready(plan, None, needed, say))
        _make_way(record, say, owned)
    if ray_address is None:
        refuse_foreign_port(plan)
    else:
        command = [*command, "--ray-address", ray_address]
    tell_of_foreign(plan, say)
    process = _start_host(
        command, url=plan.serving.url, owned=owned, is_guest=ray_address is not None
    )
    try:
        return Served(started=True, failed=_await_ready(plan, process, needed, say))
    except BaseException:
        _end(process)
        if (record := read_record()) is not None:
            stop(record)
        raise


def _serves(record: ServiceRecord, wanted: str, owned: bool, ray_address: str | None) -> bool:
    """Whether the running service is the wanted one; what failed in it is only mended by `up`."""
    if record.fingerprint != wanted or not (owned or record.ray_address == ray_address):
        return False
    return owned or all(v["state"] != "failed" for v in health(record.url).values())


def _make_way(record: ServiceRecord, say: Say, owned: bool) -> None:
    """Stop the service that ran before, unless it is the user's and we are only passing."""
    if not record.is_alive():
        say("clearing away what the last service left")
    elif owned:
        raise _other_service(record, "it was deployed otherwise than this comparison needs")
    else:
        say(f"stopping the service that ran before (plan {record.plan} at {record.url})")
    stop(record)


def refuse_what_is_in_the_way(wanted: Iterable[Plan]) -> None:
    """Before any work: what ``up`` as an owned service would say of each of the plans after it.

    A service that runs must serve each of them as it is; where none was left, their port is to be
    free.

    Raises:
        DeployError: with the remedy.
    """
    record = read_record()
    for plan in wanted:
        if record is None:
            refuse_foreign_port(plan)
        elif record.is_alive() and (why := _why_unusable(record, plan)):
            raise _other_service(record, why)


def _why_unusable(record: ServiceRecord, plan: Plan) -> str | None:
    served, wanted = ", ".join(record.variants), ", ".join(plan.variants)
    if served != wanted:
        alone = " alone" if len(plan.variants) == 1 else ""
        return f"it serves {served}, and this comparison needs {wanted}{alone}"
    try:
        fits = fingerprint(plan) == record.fingerprint
    except ArtifactError:
        return "what it serves is not of this comparison's model, or was deleted"
    changed = "since it was deployed, its plan, model, artifacts, engines or our code have changed"
    return None if fits else changed


def _other_service(record: ServiceRecord, why: str) -> DeployError:
    return DeployError(
        f"another service runs: plan {record.plan} with {len(record.variants)} variants at "
        f"{record.url}; {why}; it is not stopped for you: run `make down` first"
    )


def _start_host(
    command: list[str], *, url: str, owned: bool, is_guest: bool
) -> subprocess.Popen[bytes]:
    """Start the host process in the background, its output to the host's log."""
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    given = dict(os.environ) if is_guest else own_cluster_environment(os.environ)
    variables = {key: value for key, value in given.items() if key != OWNER_VARIABLE}
    variables |= {MARK: uuid.uuid4().hex, **direct(os.environ, urlsplit(url).hostname or "")}
    if owned:
        variables[OWNER_VARIABLE] = str(os.getpid())
    with HOST_LOG.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.ray_cluster.host", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=variables,
            start_new_session=True,
        )


def own_cluster_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Ray is imported by the host of a cluster of our own.

    Ray's variables of the user's shell are about a cluster of theirs. The one of ours makes
    loopback the node's address: Ray takes ``127.0.0.1`` for a mistake everywhere but on desktop
    systems, which its name is about (``ray._private.services.get_node_ip_address``), and would
    listen on all interfaces. Ray reads it when it is imported.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("RAY_") or name == SWITCH
    }
    return kept | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def tell_of_foreign(plan: Plan, say: Say) -> None:
    """Name the variables of the user's shell that would set up an engine beside the plan."""
    own = [name for item in plan.resolved_variants() for name in item.engine.variables]
    if names := foreign(os.environ, own):
        say(f"not passed on to the engines, which the plan sets up: {', '.join(names)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the host to stop; a host that does not (a cluster that hangs) is killed."""
    process.terminate()
    try:
        process.wait(timeout=STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def refuse_foreign_port(plan: Plan) -> None:
    """Hold the plan's address against what else listens on this machine.

    Raises:
        DeployError: with the key of the plan that is to be changed.
    """
    host, port = plan.serving.host, plan.serving.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        key, remedy = _PORT_REMEDIES.get(
            error.errno or 0, ("host", "this machine has no such address")
        )
        raise DeployError(
            f"serving.{key}: {host} port {port} cannot be used ({error.strerror}): {remedy}"
        ) from None


def _await_ready(
    plan: Plan, process: subprocess.Popen[bytes] | None, needed: Collection[str], say: Say
) -> dict[str, str]:
    """Poll until every variant is ready or failed, telling each as it comes; returns the failed."""
    # In turns, each may take that long.
    patience_s = plan.serving.start_timeout_s + 60
    deadline, answered = time.monotonic() + patience_s, False
    ready: set[str] = set()
    failed: dict[str, str] = {}
    while set(plan.variants) - ready - failed.keys():
        if process is not None and process.poll() is not None:
            raise DeployError(f"the host stopped; the end of {HOST_LOG}:\n{log_tail(HOST_LOG)}")
        variants = health(plan.serving.url)
        if variants and not answered:
            # What Ray took to start, on a busy machine, is not the engines' time.
            deadline, answered = time.monotonic() + patience_s, True
        late = time.monotonic() > deadline
        for name in sorted(set(plan.variants) - ready - failed.keys()):
            state = variants.get(name, {"state": "stopped"})
            if is_up(state):
                ready.add(name)
                say(f"  {name} ready in {state['start_s']:.0f} s ({len(ready)}/{len(variants)})")
                if state.get("residency") is not None:
                    deadline = time.monotonic() + patience_s
            elif state["state"] == "failed" or late:
                failed[name] = _reason(state)
                if name in needed:
                    raise DeployError(f"{name}: {failed[name]}{_without(name, needed)}")
                say(f"  {name} FAILED: {failed[name]}")
        time.sleep(POLL_S)
    return failed


def _without(name: str, needed: Collection[str]) -> str:
    """How the others are served where all were wanted."""
    others = [other for other in needed if other != name]
    return f"; the others are served by --variants {','.join(others)}" if others else ""


def _reason(state: Mapping[str, Any]) -> str:
    if state["state"] == "failed":
        return str(state["reason"])
    return f"still {state['state']} when serving.start_timeout_s was over; see {HOST_LOG}"
