"""A deterministic completions server: what it answers is a formula, so scores can be checked.

Machinery only (parsing, retries, refusals, reuse); what an engine says is tested with engines.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

CAPABILITIES = ("echo_logprobs", "stop", "token_ids")
MODULUS = 997


def log_probability(previous: int, token: int) -> float:
    """Natural logarithm of the pretended probability of a token after the one before it."""
    return -0.01 - ((previous * 7919 + token * 104_729) % MODULUS) / 200


@dataclass(kw_only=True)
class Behaviour:
    """What one variant of the server can do, and how often it first says that it is full."""

    capabilities: tuple[str, ...] = CAPABILITIES
    state: str = "ready"
    artifact: str = "a" * 64
    answer: str = "7"
    full: int = 0
    echoes: bool = True


@dataclass(kw_only=True)
class Fake:
    """The running server: its root and everything that was posted to it."""

    url: str
    variants: dict[str, Behaviour]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def prompts(self, variant: str) -> int:
        """How many prompts a variant was sent."""
        return sum(len(r["prompt"]) for r in self.requests if r["model"] == variant)


def choice(index: int, prompt: Sequence[int], request: dict[str, Any], how: Behaviour) -> Any:
    """One choice of an answer, in the shape that vLLM gives it."""
    if not request.get("echo"):
        return {"index": index, "text": how.answer, "logprobs": None}
    ids = [*prompt, 5]
    values: list[float | None] = [None]
    values += [log_probability(a, b) for a, b in pairwise(ids)]
    kept = values if how.echoes else values[-1:]
    tops = [None if value is None else {"top": value} for value in kept]
    return {"index": index, "text": "", "logprobs": {"token_logprobs": kept, "top_logprobs": tops}}


@contextmanager
def serve(variants: dict[str, Behaviour]) -> Iterator[Fake]:
    """Serve on a free port of the loopback until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _send(self, code: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            name = self.path.split("/")[1]
            how = variants[name]
            health = {
                "variant": name,
                "recipe": name,
                "engine": "fake",
                "state": how.state,
                "reason": "it is a test",
                "artifact_sha256": how.artifact,
                "engine_version": "1",
                "memory_bytes": None,
                "held_weight_bytes": None,
                "capabilities": how.capabilities,
                "in_flight": 0,
            }
            self._send(200 if how.state == "ready" else 503, health)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            how = variants[self.path.split("/")[1]]
            with lock:
                full, how.full = how.full > 0, max(0, how.full - 1)
                if not full:
                    fake.requests.append(request)
            if full:
                return self._send(429, {"error": {"message": "full"}})
            choices = [choice(i, p, request, how) for i, p in enumerate(request["prompt"])]
            # The order of a batch is not promised: the index says which prompt is meant.
            return self._send(200, {"choices": choices[::-1]})

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = Fake(url=f"http://127.0.0.1:{server.server_address[1]}", variants=variants)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
