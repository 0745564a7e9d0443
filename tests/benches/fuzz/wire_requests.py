"""Requests by the book, however odd: each is due an answer by the book. Pure."""

from collections.abc import Callable
from dataclasses import replace

from tests.benches.fuzz.wire import Draw, WireCase, request

_METHODS = "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE"
_QUERIES = "? ?a=b ?% ?%zz ?%00 ?%ff ?a[]=1&a[]=2 ?=&&= ?a=%2e%2e/"
# BASE stands for a variant's prefix.
_PATHS = """
//v1//completions BASE//v1/completions BASE/../metrics /%00 /%ff%fe BASEBASE/v1/models /~ /* /.%2f
BASE/v1/completions%00 /%2e%2e/%2e%2e/etc/passwd BASE/v1/models;a=b BASE/v1/%6dodels BASEx/v1/models
BASE%2Fv1/models /v1/models?model=../..
"""
METHODS = _METHODS.split()
CODINGS = ("gzip", "deflate", "br", "identity", "junk", "gzip, gzip")
CONTENT_TYPES = (
    *["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded"],
    "application/json; charset=utf-16",
    "application/json;;;=",
    "",
    "\xff",
    "a" * 5000,
)
HEADERS = (
    *"""
Accept: image/png
Accept-Encoding: gzip;q=x
Authorization: Basic ☃
Expect: 100-continue
Forwarded: for="
If-Match: *
Keep-Alive: timeout=-1
Max-Forwards: -1
Origin: null
Range: bytes=5-2
Request-Timeout-Seconds: -1
Serve_Multiplexed_Model_Id: a
TE: junk
Timeout: 0
Traceparent: junk
X-Forwarded-For: ☃
X-HTTP-Method-Override: DELETE
X-Request-Disconnect-Disabled: ?0
X-Request-Id:
X-Request-Timeout-Seconds: junk
X-Session-Id: a
""".strip().splitlines(),
    "Cookie: " + "a=b; " * 500,
    "X-Request-Id: " + "r" * 3000,
)
QUERIES = (*_QUERIES.split(), "?" + "a" * 4000)
PATHS = (*_PATHS.split(), "/" + "a" * 8000, "BASE/v1/models/" + "x" * 300)


def method(draw: Draw) -> WireCase:
    """Any method on any route, with and without a body."""
    method, path = draw.rng.choice(METHODS), draw.any_path()
    body = draw.rng.choice((b"", b"{}", b"junk"))
    return draw.one("any method", method, path, request(method, path, body))


def old_http(draw: Draw) -> WireCase:
    """HTTP/1.0, with and without keep-alive."""
    path, body = draw.target()
    keeps_alive = draw.rng.random() < 0.5
    extra = ("Connection: keep-alive",) if keeps_alive else ()
    sent = request("POST", path, body, *extra, version="1.0", close=False)
    return replace(draw.one("HTTP/1.0", "POST", path, sent), keeps_alive=keeps_alive)


def content_type(draw: Draw) -> WireCase:
    """A good body under a wrong name."""
    path, body = draw.target()
    kind = draw.rng.choice(CONTENT_TYPES)
    sent = request("POST", path, body, f"Content-Type: {kind}")
    return draw.one("content type", "POST", path, sent)


def content_encoding(draw: Draw) -> WireCase:
    """A body that is not encoded as it says."""
    path, body = draw.target()
    coding = draw.rng.choice(CODINGS)
    headers = ("Content-Type: application/json", f"Content-Encoding: {coding}")
    return draw.one("content encoding", "POST", path, request("POST", path, body, *headers))


def accept(draw: Draw) -> WireCase:
    """Headers that ask for what is not there."""
    path, body = draw.target()
    header = draw.rng.choice(HEADERS).encode("utf-8").decode("latin-1")
    sent = request("POST", path, body, "Content-Type: application/json", header)
    return draw.one(f"header {header.partition(':')[0]}", "POST", path, sent)


def query(draw: Draw) -> WireCase:
    """Query strings of every kind."""
    path, body = draw.target()
    query = draw.rng.choice(QUERIES)
    sent = request("POST", path + query, body, "Content-Type: application/json")
    return draw.one("query string", "POST", path, sent)


def odd_path(draw: Draw) -> WireCase:
    """Paths that a careless join or unquote would trip over."""
    base = f"/{draw.rng.choice(draw.variants)}"
    path = draw.rng.choice(PATHS).replace("BASE", base)
    method = draw.rng.choice(("GET", "POST"))
    return draw.one("odd path", method, path, request(method, path))


def pipelined(draw: Draw) -> WireCase:
    """Several requests before the first answer."""
    path, body = draw.target()
    count = draw.rng.randint(2, 6)
    one = request("POST", path, body, "Content-Type: application/json", close=False)
    last = request("POST", path, body, "Content-Type: application/json")
    parts = (one * (count - 1) + last,)
    return WireCase(name="pipelined", method="POST", path=path, parts=parts, answers=count)


def dripped(draw: Draw) -> WireCase:
    """A good request in small pieces."""
    path, body = draw.target()
    sent = request("POST", path, body, "Content-Type: application/json")
    size = draw.rng.randint(20, 90)
    parts = tuple(sent[place : place + size] for place in range(0, len(sent), size))
    return WireCase(name="dripped", method="POST", path=path, parts=parts)


def chunked(draw: Draw) -> WireCase:
    """A good body in chunks."""
    path, body = draw.target()
    head = request(
        "POST", path, b"", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    return draw.one("chunked", "POST", path, head + chunks + b"0\r\n\r\n")


KINDS: tuple[Callable[[Draw], WireCase], ...] = (
    method,
    method,
    method,
    old_http,
    content_type,
    content_encoding,
    accept,
    query,
    odd_path,
    pipelined,
    dripped,
    chunked,
    accept,
    odd_path,
)
