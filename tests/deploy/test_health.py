"""How the terminal shows what a service says of itself."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.health import health, table
from services.engine.life_cycle import State
from tests.services.engines.recorded_kernels import on_card

URL = "http://127.0.0.1:8000"
HINT = "without its key the service tells states alone: give it in ASSAY_API_KEY"


def told(**more: Any) -> dict[str, dict[str, Any]]:
    """What the gateway answers about one variant."""
    return {"gguf-q4_k_m": {"state": State.READY.value, **more}}


def test_who_sends_no_key_is_told_why_there_are_only_states() -> None:
    assert table(URL, told()).splitlines()[-1] == HINT


def test_who_is_told_everything_needs_no_key() -> None:
    assert HINT not in table(URL, told(restarts=0))


def test_a_service_that_is_gone_is_no_matter_of_keys() -> None:
    assert HINT not in table(URL, {"gguf-q4_k_m": {"state": State.STOPPED}})


def test_kernels_and_what_must_be_said_of_them_stand_below_the_table() -> None:
    kernels = on_card("9.0", "AutoGPTQLinearMethod", "MacheteLinearKernel")
    said = kernels.model_copy(update={"remarks": ("eager mode",)})
    lines = table(URL, told(restarts=0, kernels=said.model_dump())).splitlines()
    assert f"gguf-q4_k_m runs on {kernels.phrase}" in lines
    assert lines[-1] == "gguf-q4_k_m: mind: eager mode"
    assert "runs on" not in table(URL, told(restarts=0, kernels=None))


def test_whom_requests_wait_for_is_told() -> None:
    asleep = {"state": State.ASLEEP.value, "restarts": 0, "waiting": 2}
    lines = table(URL, {"gguf-q4_k_m": asleep}).splitlines()
    assert lines[-1] == "gguf-q4_k_m is asleep: 2 requests wait for it"
    assert "wait" not in table(URL, told(restarts=0, waiting=0))


def test_why_a_variant_failed_stands_below_the_table() -> None:
    failed = {"broken": {"state": State.FAILED.value, "restarts": 5, "reason": "no such file"}}
    assert table(URL, failed).splitlines()[-1] == "broken is failed: no such file"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Any]]]:
    """A server that answers what the dictionary's ``answer`` says; the shell has a dead proxy."""
    says: dict[str, Any] = {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

        def do_GET(self) -> None:
            self.send_response(says["status"])
            self.end_headers()
            self.wfile.write(json.dumps(says["answer"]).encode())

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", says
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 503])
def test_the_service_is_asked_directly_whatever_proxy_the_shell_has(
    gateway: tuple[str, dict[str, Any]], status: int
) -> None:
    url, says = gateway
    says.update(status=status, answer={"variants": told()})
    assert health(url) == told()


@pytest.mark.parametrize("answer", [[], {"variants": ["a"]}, "busy", None])
def test_what_is_no_answer_of_a_gateway_tells_of_no_variants(
    gateway: tuple[str, dict[str, Any]], answer: Any
) -> None:
    url, says = gateway
    says["answer"] = answer
    assert health(url) == {}


def test_a_service_that_does_not_answer_tells_of_no_variants() -> None:
    assert health("http://127.0.0.1:9") == {}


def agreement(state: str, mean: float | None, *reasons: str) -> dict[str, Any]:
    """What the supervisor tells of it."""
    return {"state": state, "mean_nats": mean, "worst_nats": mean, "reasons": reasons}


def test_how_a_variant_agrees_with_its_weights_is_told() -> None:
    lines = table(URL, told(restarts=0, agreement=agreement("agrees", 0.25))).splitlines()
    assert lines[1].endswith("agrees, 0.250 nats (worst 0.25)")
    unheld = table(URL, told(restarts=0, agreement=agreement("not held", None, "no scores")))
    assert unheld.splitlines()[1].endswith("not held")
    assert unheld.splitlines()[-1] == "gguf-q4_k_m is held against nothing: no scores"
