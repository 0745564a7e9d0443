"""HAProxy gets Serve's configuration without its open doors, and takes it.

covers: deploy/haproxy/haproxy_launcher.py, deploy/haproxy/ingress.py
"""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy.haproxy.haproxy_config import ERROR_CODES, HAProxyConfigError, Site, adapt
from deploy.haproxy.ingress import haproxy_binary, ingress_variables, most_connections
from deploy.plan import Serving
from services.engine.child import free_port
from services.http.serve_errors import DIGESTS_VARIABLE, ORIGINS_VARIABLE
from tests.benches.fuzz.sockets import answers_of

WRITER = Path(__file__).with_name("write_haproxy_config.py")


@pytest.fixture(scope="module")
def serves_own(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What this version of Ray Serve writes for two applications."""
    folder = tmp_path_factory.mktemp("serve")
    subprocess.run([sys.executable, str(WRITER), str(folder)], check=True)
    return (folder / "haproxy.cfg").read_text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    ingress_variables(Serving(), (), tmp_path)
    return Site(bind="127.0.0.1:8000", errors=tmp_path / "haproxy", keyed=True)


def test_serves_own_servers_are_told_the_keys_and_whose_pages_are_let_in(tmp_path: Path) -> None:
    serving = Serving(cors_origins=("https://chat.org", "http://localhost:3000"))
    variables = ingress_variables(serving, ("digest",), tmp_path)
    assert variables[DIGESTS_VARIABLE] == "digest"
    assert variables[ORIGINS_VARIABLE] == "https://chat.org,http://localhost:3000"


def test_nothing_listens_but_the_plans_address(serves_own: str, site: Site) -> None:
    assert "bind *:8404" in serves_own
    adapted = adapt(serves_own, site)
    binds = [line.split()[1] for line in adapted.splitlines() if line.split()[:1] == ["bind"]]
    assert binds == ["127.0.0.1:8000"]
    assert "mode 666" not in adapted
    assert ":514" not in adapted


def test_every_error_of_haproxy_is_openai_json(serves_own: str, site: Site) -> None:
    adapted = adapt(serves_own, site)
    for code in ERROR_CODES:
        assert f"errorfile {code} {site.errors}/{code}.http" in adapted
        assert b'"error": {"message"' in (site.errors / f"{code}.http").read_bytes()
    plain = [line for line in adapted.splitlines() if "text/plain" in line]
    assert all("if healthcheck" in line for line in plain)


def test_haproxy_itself_takes_it(tmp_path: Path, serves_own: str, site: Site) -> None:
    adapted = adapt(serves_own, site)
    (tmp_path / "adapted.cfg").write_text(adapted)
    binary = haproxy_binary()
    assert binary is not None
    command = [binary, "-c", "-f", str(tmp_path / "adapted.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@contextmanager
def running(config: str, folder: Path, port: int, open_files: int | None = None) -> Iterator[None]:
    """HAProxy with a configuration of ours, until it takes connections and while the block runs.

    ``open_files`` are how many it may have, where not as many as we.
    """

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    (folder / "running.cfg").write_text(config)
    binary = haproxy_binary()
    assert binary is not None
    command = [binary, "-db", "-f", str(folder / "running.cfg")]
    process = subprocess.Popen(command, preexec_fn=limit)
    try:
        while process.poll() is None:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def answer_to(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    (answer,) = answers_of(received, "GET", 1)
    return answer


@pytest.mark.parametrize(("keyed", "status"), [(True, 401), (False, 404)])
def test_what_names_no_path_matches_no_route(
    tmp_path: Path, serves_own: str, site: Site, keyed: bool, status: int
) -> None:
    port = free_port()
    here = Site(bind=f"127.0.0.1:{port}", errors=site.errors, keyed=keyed)
    with running(adapt(serves_own, here), tmp_path, port):
        found, _, body = answer_to(
            port, b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    assert found == status
    assert b'"error": {"message"' in body


@pytest.mark.parametrize("open_files", [256, 1024])
def test_it_starts_where_few_files_may_be_open(
    tmp_path: Path, serves_own: str, site: Site, open_files: int
) -> None:
    port = free_port()
    here = Site(bind=f"127.0.0.1:{port}", errors=site.errors, keyed=False)
    assert "maxconn 4096" in serves_own
    few = serves_own.replace("maxconn 4096", f"maxconn {most_connections(open_files)}")
    with running(adapt(few, here), tmp_path, port, open_files):
        found, _, _ = answer_to(
            port, b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    assert found == 503  # nobody is behind it


def test_connections_are_as_many_as_files_allow(tmp_path: Path) -> None:
    assert [most_connections(files) for files in (100, 256, 1024, 1 << 20)] == [1, 51, 358, 4096]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    told = ingress_variables(Serving(), (), tmp_path)["RAY_SERVE_HAPROXY_MAXCONN"]
    assert int(told) == most_connections(sys.maxsize if hard == resource.RLIM_INFINITY else hard)


@pytest.mark.parametrize(("given", "told"), [("", None), ("mine", "mine"), ("mine,", "mine,")])
def test_an_answer_always_has_a_request_id(
    tmp_path: Path, serves_own: str, site: Site, given: str, told: str | None
) -> None:
    port = free_port()
    here = Site(bind=f"127.0.0.1:{port}", errors=site.errors, keyed=False)
    lines = ["GET /nowhere HTTP/1.1", "Host: a", f"X-Request-Id: {given}", "Connection: close"]
    with running(adapt(serves_own, here), tmp_path, port):
        _, headers, _ = answer_to(port, "\r\n".join([*lines, "", ""]).encode())
    assert headers["x-request-id"]
    assert told in {None, headers["x-request-id"]}


def test_a_template_that_has_changed_is_told_and_not_served_half() -> None:
    with pytest.raises(HAProxyConfigError, match="configuration has changed"):
        adapt("global\n    maxconn 1\n", Site(bind="x", errors=Path("/"), keyed=False))
