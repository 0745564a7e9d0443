"""A service with keys, met on every port it opens: nobody without one of its keys gets further.

Of a deployment of its own, with one variant, because keys are a property of the whole. It is
deployed from a shell with all that keeps services from starting.

covers: deploy/api_keys.py, services/http/keys.py
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
import yaml

from deploy.api_keys import is_loopback
from deploy.listeners import heard_beyond, listening
from deploy.service import ServiceRecord, processes_of
from quantize.root import ROOT
from services.engine.child import free_port
from tests.assay_command import ASSAY

pytestmark = pytest.mark.engine
KEY, SECOND, FOREIGN = "first-key-0123456789", "second-key-0123456789", "another-deployments-key"
VARIANT = "gguf-q8_0"
OF_OTHERS = {
    "RAY_ADDRESS": "192.0.2.1:6379",
    "LLAMA_CPP_LIB_PATH": "/nonexistent",
    "WEB_CONCURRENCY": "4",
}
# A proxy where nobody listens, no home, and settings for others of what we start.
UNFIT = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
    "HOME": "/nonexistent",
    **OF_OTHERS,
}
BODY = {"model": VARIANT, "prompt": "The capital of", "max_tokens": 4, "temperature": 0}


class Guarded:
    """The running service, and the commands that stop it."""

    def __init__(self, folder: Path) -> None:
        self.run_folder = folder / "run"
        self.plan = folder / "plan.yaml"
        self.long_folder = folder / ("a-temporary-folder-with-a-long-name" * 3)
        self.long_folder.mkdir()
        self.port = free_port()
        serving = {"port": self.port, "context_length": 1024, "kv_cache_gib": 0.5}
        content = {"name": "guarded", "variants": [VARIANT], "baseline": VARIANT}
        self.plan.write_text(yaml.safe_dump({**content, "serving": serving}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def record(self) -> ServiceRecord:
        content = yaml.safe_load((self.run_folder / "service.json").read_text())
        return ServiceRecord(**{**content, "variants": tuple(content["variants"])})

    def run(self, command: str, *options: str) -> str:
        """Run a command in that shell; returns what it prints."""
        variables = {
            **os.environ,
            "ASSAY_RUN_DIR": str(self.run_folder),
            "ASSAY_API_KEYS": f"{KEY},{SECOND}",
            **UNFIT,
            "TMPDIR": str(self.long_folder),
        }
        words = [*ASSAY, command, *options]
        done = subprocess.run(
            words, check=True, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def deploy(self, command: str) -> None:
        """Bring it up, or take it down."""
        print(self.run(command, *([] if command == "down" else ["--plan", str(self.plan)])))

    def replica_ports(self) -> list[int]:
        """Where the replicas answer HTTP without a proxy before them."""
        return sorted(
            port
            for process in self.processes()
            for _address, port in listening(process)
            if 30000 <= port < 31000
        )

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.record.deployment, self.record.ray_folder)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    service = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        service.deploy("up")
        yield service
    finally:
        service.deploy("down")


def ask(url: str, key: str | None, method: str = "GET") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    content = BODY if method == "POST" else None
    return httpx.request(method, url, headers=headers, json=content, timeout=60)


ROUTES = [
    ("GET", "/v1/models"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
    ("GET", f"/{VARIANT}/v1/models"),
    ("POST", f"/{VARIANT}/v1/completions"),
    ("GET", f"/{VARIANT}/metrics"),
    ("GET", "/metrics"),
    ("GET", "/prometheus/targets"),
    ("GET", "/-/routes"),
    ("GET", "/no-such-route"),
]


@pytest.mark.parametrize("key", [None, "wrong", FOREIGN])
def test_no_wrong_and_foreign_keys_are_a_401_on_every_route_of_every_port(
    guarded: Guarded, key: str | None
) -> None:
    ports = guarded.replica_ports()
    assert len(ports) == 2  # the variant's and the gateway's
    for port in (guarded.port, *ports):
        for method, path in ROUTES:
            answer = ask(f"http://127.0.0.1:{port}{path}", key, method)
            assert answer.status_code == 401, (port, path)
            assert answer.json()["error"]["type"] == "authentication_error"
            assert answer.headers["x-request-id"]


@pytest.mark.parametrize("key", [KEY, SECOND])
def test_each_key_of_the_deployment_opens_both_ways(guarded: Guarded, key: str) -> None:
    for path in ("/v1/completions", f"/{VARIANT}/v1/completions"):
        assert ask(f"{guarded.url}{path}", key, "POST").status_code == 200


def test_health_is_open_and_tells_strangers_the_state_alone(guarded: Guarded) -> None:
    told = ask(f"{guarded.url}/healthz", None).json()
    assert told["variants"] == {VARIANT: {"variant": VARIANT, "state": "ready"}}
    assert "artifact_sha256" in ask(f"{guarded.url}/healthz", KEY).json()["variants"][VARIANT]


def test_beyond_loopback_only_serves_replicas_are_heard_and_they_want_a_token(
    guarded: Guarded,
) -> None:
    heard = [(process, item) for process in guarded.processes() for item in listening(process)]
    assert {process.name() for process, _ in heard} >= {"raylet", "gcs_server"}
    for process, (address, port) in heard:
        assert is_loopback(address) or process.name().startswith("ray::ServeReplica")
        assert port == guarded.port or not process.name().startswith("haproxy")
    told = guarded.run("status")
    beyond = list(heard_beyond(guarded.record))
    assert len(beyond) == 2  # the variant's and the gateway's
    for name, _address, port in beyond:
        assert f"{name} at :: port {port}" in told
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=30)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_no_engine_finds_what_the_shell_had_for_another(guarded: Guarded) -> None:
    engines = [p for p in guarded.processes() if "services.server" in p.cmdline()]
    assert engines
    for process in engines:
        assert not process.environ().keys() & OF_OTHERS.keys()
        assert process.environ()["TMPDIR"].startswith(guarded.record.ray_folder)
        assert "127.0.0.1" in process.environ()["no_proxy"].split(",")


def test_no_key_is_in_what_the_service_writes_or_its_processes_inherit(guarded: Guarded) -> None:
    written = [path for path in guarded.run_folder.rglob("*") if path.is_file()]
    written += [p for p in Path(guarded.record.ray_folder).rglob("*.log") if p.is_file()]
    for path in written:
        assert KEY.encode() not in path.read_bytes(), path
    host = guarded.record.host_pid
    for process in guarded.processes():
        if process.pid != host:
            assert KEY not in str(process.environ()), process


def test_a_stream_under_way_is_finished_when_the_service_is_stopped(guarded: Guarded) -> None:
    got: list[bytes] = []
    begun = threading.Event()

    def read() -> None:
        body = {**BODY, "max_tokens": 900, "ignore_eos": True, "stream": True}
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{guarded.url}/{VARIANT}/v1/completions"
        with httpx.stream("POST", url, json=body, headers=headers, timeout=120) as answer:
            for chunk in answer.iter_raw():
                got.append(chunk)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(60)
    guarded.deploy("down")
    reader.join(60)
    assert b"".join(got).endswith(b"data: [DONE]\n\n")
