"""Bring a plan's service up in the background, wait until every variant is ready, show it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable

from deploy.environments import ROOT
from deploy.health import health
from deploy.lifeline import OWNER_VARIABLE, start_time
from deploy.plan import Plan
from deploy.service import MARK, RUN_DIR, DeployError, ServiceRecord, read_record, stop
from deploy.settings import fingerprint
from services.child import log_tail

POLL_S = 0.5
HOST_LOG = RUN_DIR / "host.log"


def new_record(plan: Plan) -> ServiceRecord:
    """The record of a service whose host is this process."""
    started = start_time(os.getpid())
    assert started is not None
    return ServiceRecord(
        deployment=os.environ[MARK],
        host_pid=os.getpid(),
        host_started=started,
        url=plan.serving.url,
        plan=plan.name,
        fingerprint=fingerprint(plan),
        variants=tuple(plan.variants),
        ray_folder=tempfile.mkdtemp(prefix="assay-"),
    )


def up(plan: Plan, command: list[str], say: Callable[[str], None], *, owned: bool) -> bool:
    """Serve the plan; returns whether anything had to be started.

    ``command`` are the arguments that give the host process this same plan. An ``owned`` service
    ends with this process, however it ends; any other runs until ``down``.

    Raises:
        DeployError: the host died, or a variant failed; everything is stopped again.
    """
    wanted = fingerprint(plan)
    record = read_record()
    if record is not None:
        alike = record.is_alive() and record.fingerprint == wanted
        if alike and not any(v["state"] == "failed" for v in health(record.url).values()):
            _await_ready(plan, None, say)
            return False
        say("stopping the service that ran before" if record.is_alive() else "clearing remains")
        stop(record)
    _refuse_foreign_port(plan)
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    variables = {key: value for key, value in os.environ.items() if key != OWNER_VARIABLE}
    variables |= {MARK: uuid.uuid4().hex}
    if owned:
        variables[OWNER_VARIABLE] = str(os.getpid())
    with HOST_LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy", "host", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=variables,
            start_new_session=True,
        )
    try:
        _await_ready(plan, process, say)
    except BaseException:
        process.terminate()
        process.wait()
        if (record := read_record()) is not None:
            stop(record)
        raise
    return True


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
    plan: Plan, process: subprocess.Popen[bytes] | None, say: Callable[[str], None]
) -> None:
    """Poll until every variant is ready, telling each as it comes."""
    deadline = time.monotonic() + plan.serving.start_timeout_s + 60
    told: set[str] = set()
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise DeployError(f"the host stopped; the end of {HOST_LOG}:\n{log_tail(HOST_LOG)}")
        variants = health(plan.serving.url)
        for name, state in variants.items():
            if state["state"] == "failed":
                raise DeployError(f"{name}: {state['reason']}")
            if state["state"] == "ready" and name not in told:
                told.add(name)
                say(f"  {name} ready in {state['start_s']:.0f} s ({len(told)}/{len(variants)})")
        if variants and told == set(plan.variants):
            return
        time.sleep(POLL_S)
    late = ", ".join(sorted(set(plan.variants) - told))
    raise DeployError(f"not ready in time (serving.start_timeout_s): {late}")
