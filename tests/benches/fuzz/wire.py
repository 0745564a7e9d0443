"""Bytes on a socket: what no HTTP client library would send. Pure.

Where a case is a request by the book, an answer by the book is due. The rest is refused by the
proxy's parser, in its own words or by closing; it must only do no harm.
"""

import json
import random
from dataclasses import dataclass

COMPLETIONS = "/v1/completions"
ROUTES = [
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/models",
    "/healthz",
    "/metrics",
    "/prometheus/targets",
    "/v1",
    "/",
    "/v1/embeddings",
    "/collective_rpc",
    "/weights",
    "/tokenize",
    "/detokenize",
    "/health",
    "/ping/",
    "/version",
    "//v1/models",
    "/v1/completions/",
    "/load_lora",
    "/docs",
    "/openapi.json",
    "/-/routes",
    "/-/healthz",
    "/pause",
]


@dataclass(frozen=True, kw_only=True)
class WireCase:
    """Bytes to send in turn. ``answers`` are due when the case ``is_http``.

    ``half_close`` ends our side after the last part; ``abort`` resets the connection at once;
    ``keeps_alive``: the server may leave the connection open after its answers.
    """

    name: str
    method: str
    path: str
    parts: tuple[bytes, ...]
    is_http: bool = True
    answers: int = 1
    half_close: bool = False
    abort: bool = False
    keeps_alive: bool = False


def request(
    method: str,
    path: str,
    body: bytes = b"",
    *headers: str,
    version: str = "1.1",
    length: object = None,
    close: bool = True,
) -> bytes:
    """One request's bytes; ``length`` None: the body's own."""
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers]
    if close:
        lines.append("Connection: close")
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What a kind of case draws from, and the two ways to make one."""

    variants: tuple[str, ...]
    rng: random.Random

    def target(self) -> tuple[str, bytes]:
        """A completions route, and a good body for it."""
        variant = self.rng.choice(self.variants)
        body = json.dumps({"model": variant, "prompt": "Where", "max_tokens": 1}).encode()
        return self.rng.choice(("", f"/{variant}")) + COMPLETIONS, body

    def any_path(self) -> str:
        """Any route of the gateway, of a variant, or of an engine behind it."""
        return self.rng.choice(("", f"/{self.rng.choice(self.variants)}")) + self.rng.choice(ROUTES)

    def one(self, name: str, method: str, path: str, sent: bytes) -> WireCase:
        """A request by the book, however odd: one answer is due."""
        return WireCase(name=name, method=method, path=path, parts=(sent,))

    def harmless(self, name: str, method: str, path: str, sent: bytes) -> WireCase:
        """No request by the book: nothing is due."""
        return WireCase(
            name=name, method=method, path=path, parts=(sent,), is_http=False, half_close=True
        )
