"""What is no request by the book: refused by the proxy's parser, or cut off. Pure."""

from collections.abc import Callable

from tests.benches.fuzz.wire import Draw, WireCase, request


def chunked_wrong(draw: Draw) -> WireCase:
    """Chunks cut off, with wrong sizes, or with both kinds of length."""
    path, _body = draw.target()
    header = "Transfer-Encoding: chunked"
    head = request("POST", path, b"", header)
    both = request("POST", path, b"", header, "Content-Length: 3")
    sent = draw.rng.choice(
        (
            head + b"ffff\r\nabc",
            head + b"zz\r\nabc\r\n",
            head + b"-1\r\n\r\n",
            both + b"0\r\n\r\n",
            head + b"f" * 40 + b"\r\n",
            head + b"3\r\nabcdef\r\n0\r\n\r\n",
            head,
            head + b"0\r\n",
        )
    )
    return draw.harmless("chunked wrongly", "POST", path, sent)


def length_wrong(draw: Draw) -> WireCase:
    """Content-Length too long, too short, negative, no number, or given twice."""
    path, body = draw.target()
    length = draw.rng.choice(
        (
            len(body) + 10,
            max(1, len(body) - 10),
            -1,
            "a",
            "1e3",
            2**70,
            "",
            "+5",
            f"{len(body)}, 3",
            "0x10",
        )
    )
    twice = draw.rng.choice(((), ("Content-Length: 1",)))
    headers = ("Content-Type: application/json", *twice)
    return draw.harmless(
        "length wrong", "POST", path, request("POST", path, body, *headers, length=length)
    )


def large_head(draw: Draw) -> WireCase:
    """Headers beyond what a proxy keeps."""
    path, body = draw.target()
    header = draw.rng.choice((["X-A: " + "a" * 70_000], ["X-A: " + "a" * 10**6], ["X-A: b"] * 3000))
    return draw.harmless("large head", "POST", path, request("POST", path, body, *header))


def large_path(draw: Draw) -> WireCase:
    """A request line beyond what a proxy keeps."""
    path = "/" + "a" * draw.rng.choice((70_000, 10**6))
    return draw.harmless("large path", "GET", "/…", request("GET", path))


def not_http(draw: Draw) -> WireCase:
    """Another protocol, or none."""
    rng = draw.rng
    sent = rng.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\r\n" * 50,
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET  /  HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x00" * 100,
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
            b"HELO a\r\n",
            b"GET http://example.com/v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
            b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            rng.randbytes(200),
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"G" * 10_000,
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        )
    )
    return draw.harmless("not HTTP", "?", "/…", sent)


def unknown_method(draw: Draw) -> WireCase:
    """A method that the proxy's parser need not know."""
    path = draw.any_path()
    method = draw.rng.choice(("FOO", "get", "PROPFIND", "QUERY", "post", "G\xcbT"))
    return draw.harmless("unknown method", method, path, request(method, path, b"{}"))


def upgrade(draw: Draw) -> WireCase:
    """A WebSocket or HTTP/2 hand-shake on any route."""
    path = draw.any_path()
    headers = draw.rng.choice(
        (
            (
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            ("Upgrade: websocket", "Sec-WebSocket-Version: 99"),
            ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
            ("Upgrade: junk",),
        )
    )
    sent = request("GET", path, b"", *headers, "Connection: Upgrade", close=False)
    return draw.harmless("upgrade", "GET", path, sent)


def leaves(draw: Draw) -> WireCase:
    """A good request whose client is gone before its answer."""
    path, body = draw.target()
    sent = request("POST", path, body, "Content-Type: application/json")
    cut = draw.rng.choice((len(sent), len(sent) - 5, len(sent) // 2))
    return WireCase(
        name="leaves",
        method="POST",
        path=path,
        parts=(sent[:cut],),
        is_http=False,
        answers=0,
        abort=True,
    )


KINDS: tuple[Callable[[Draw], WireCase], ...] = (
    chunked_wrong,
    length_wrong,
    large_head,
    large_path,
    not_http,
    upgrade,
    unknown_method,
    leaves,
    not_http,
)
