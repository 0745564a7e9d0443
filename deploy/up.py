"""Bring a plan's service up in the background, and wait until every variant is ready."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.health import health
from deploy.plan import Plan
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
from quantize.jobs.lifeline import OWNER_VARIABLE, start_time
from quantize.jobs.log_tail import log_tail
from quantize.root import ROOT

POLL_S = 0.5
HOST_LOG = RUN_DIR / "host.log"
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
        ray_folder=tempfile.mkdtemp(prefix="assay-"),
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
        _refuse_foreign_port(plan)
    else:
        command = [*command, "--ray-address", ray_address]
    process = _start_host(command, owned)
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
        raise DeployError(
            f"another service runs: plan {record.plan} with {len(record.variants)} variants at "
            f"{record.url}, deployed otherwise than this comparison needs; it is not stopped for "
            "you: run `make down` first"
        )
    else:
        say(f"stopping the service that ran before (plan {record.plan} at {record.url})")
    stop(record)


def _start_host(command: list[str], owned: bool) -> subprocess.Popen[bytes]:
    """Start the host process in the background, its output to the host's log."""
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    variables = {key: value for key, value in os.environ.items() if key != OWNER_VARIABLE}
    variables |= {MARK: uuid.uuid4().hex}
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the host to stop; a host that does not (a cluster that hangs) is killed."""
    process.terminate()
    try:
        process.wait(timeout=STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _refuse_foreign_port(plan: Plan) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((plan.serving.host, plan.serving.port))
        except OSError as error:
            raise DeployError(
                f"serving.port: {plan.serving.host}:{plan.serving.port} cannot be used "
                f"({error.strerror}): another program listens there; choose another port"
            ) from None


def _await_ready(
    plan: Plan, process: subprocess.Popen[bytes] | None, needed: Collection[str], say: Say
) -> dict[str, str]:
    """Poll until every variant is ready or failed, telling each as it comes; returns the failed."""
    deadline = time.monotonic() + plan.serving.start_timeout_s + 60
    ready: set[str] = set()
    failed: dict[str, str] = {}
    while set(plan.variants) - ready - failed.keys():
        if process is not None and process.poll() is not None:
            raise DeployError(f"the host stopped; the end of {HOST_LOG}:\n{log_tail(HOST_LOG)}")
        variants = health(plan.serving.url)
        late = time.monotonic() > deadline
        for name in sorted(set(plan.variants) - ready - failed.keys()):
            state = variants.get(name, {"state": "stopped"})
            if state["state"] == "ready":
                ready.add(name)
                say(f"  {name} ready in {state['start_s']:.0f} s ({len(ready)}/{len(variants)})")
            elif state["state"] == "failed" or late:
                failed[name] = _reason(state)
                if name in needed:
                    raise DeployError(f"{name}: {failed[name]}")
                say(f"  {name} FAILED: {failed[name]}")
        time.sleep(POLL_S)
    return failed


def _reason(state: Mapping[str, Any]) -> str:
    if state["state"] == "failed":
        return str(state["reason"])
    return f"still {state['state']} when serving.start_timeout_s was over; see {HOST_LOG}"
