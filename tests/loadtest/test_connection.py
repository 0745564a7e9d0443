"""A user's connection against servers that answer as HTTP allows, and against some others."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest

from loadtest.completion import KeptStream
from loadtest.connection import (
    BrokenConnectionError,
    Connection,
    LeftAloneError,
    Server,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

Serve = Callable[[socket.socket], None]


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


@contextmanager
def serving(*connections: Serve) -> Iterator[Server]:
    """A server that serves one connection after the other, each in its own way."""

    def run() -> None:
        for serve in connections:
            peer, _ = listener.accept()
            with peer:
                serve(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield Server.of(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
        assert not thread.is_alive()


def request_of(peer: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"body"):
        got += peer.recv(1 << 16)
    return got


def answering(*answers: bytes) -> Serve:
    """Takes a request, sends one answer, and so on; then it closes."""

    def serve(peer: socket.socket) -> None:
        for answer in answers:
            request_of(peer)
            peer.sendall(answer)

    return serve


def ask(connection: Connection, server: Server, body: bytes = b"body") -> tuple[int, bytes]:
    """One request; returns its status and its body."""
    stream = KeptStream(connection.more)
    try:
        with gevent.Timeout(10):
            connection.send(server.request("/v1/completions", {"x": "y"}, body), stream)
            status = connection.status()
            connection.finish()
        stream.close()
        return status, b"".join(iter(stream.piece, b""))
    finally:
        connection.release()


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    connection = Connection(server)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n") + END,
        HEAD + b"Content-Length: 18\r\n\r\ndata: 1\n\ndata: 2\n\n",
        HEAD + b"Connection: close\r\n\r\ndata: 1\n\ndata: 2\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + chunk(b"data: 1\n\ndata: 2\n\n") + END,
        b"HTTP/1.0 200 OK\r\n\r\ndata: 1\n\ndata: 2\n\n",
    ],
)
def test_every_way_to_end_a_body_gives_all_of_it(answer: bytes) -> None:
    with serving(answering(answer)) as server, connected(server) as connection:
        assert ask(connection, server) == (200, b"data: 1\n\ndata: 2\n\n")


def test_a_connection_serves_one_request_after_the_other() -> None:
    first, second = (CHUNKED + chunk(word) + END for word in (b"one", b"two"))
    with serving(answering(first, second)) as server, connected(server) as connection:
        assert [ask(connection, server)[1] for _ in range(2)] == [b"one", b"two"]


def test_a_connection_that_was_closed_for_its_idleness_is_made_anew() -> None:
    new = answering(CHUNKED + chunk(b"new") + END)
    with serving(answering(CHUNKED + END), new) as server, connected(server) as connection:
        assert ask(connection, server)[0] == 200
        time.sleep(0.1)
        assert ask(connection, server) == (200, b"new")


def test_one_that_is_closed_while_we_send_is_tried_once_more() -> None:
    def closing(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(CHUNKED + END)
        request_of(peer)

    new = answering(CHUNKED + chunk(b"new") + END)
    with serving(closing, new) as server, connected(server) as connection:
        assert ask(connection, server)[0] == 200
        assert ask(connection, server) == (200, b"new")


def test_a_fresh_connection_that_says_nothing_is_an_error() -> None:
    with (
        serving(answering(b"")) as server,
        connected(server) as connection,
        pytest.raises(BrokenConnectionError, match="closed"),
    ):
        ask(connection, server)


def test_an_answer_that_is_cut_short_is_an_error_and_its_connection_is_given_up() -> None:
    cut, whole = answering(CHUNKED + chunk(b"one")), answering(CHUNKED + END)
    with serving(cut, whole) as server, connected(server) as connection:
        with pytest.raises(BrokenConnectionError, match="closed"):
            ask(connection, server)
        assert ask(connection, server)[0] == 200


def test_what_is_no_http_is_an_error() -> None:
    with (
        serving(answering(b"SSH-2.0-x\r\n")) as server,
        connected(server) as connection,
        pytest.raises(BrokenConnectionError),
    ):
        ask(connection, server)


def test_a_refusal_before_the_whole_request_was_read_is_its_answer() -> None:
    def refusing(peer: socket.socket) -> None:
        peer.recv(100)
        peer.sendall(b"HTTP/1.1 413 -\r\nContent-Length: 4\r\n\r\nlong")
        while peer.recv(1 << 20):
            time.sleep(0.001)

    with serving(refusing) as server, connected(server) as connection:
        assert ask(connection, server, b"x" * 5_000_000) == (413, b"long")


@pytest.mark.parametrize("begun", [b"", CHUNKED + chunk(b"one")])
def test_a_request_that_is_left_ends_at_once_and_the_next_has_a_connection_of_its_own(
    begun: bytes,
) -> None:
    def waiting(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(begun)
        assert peer.recv(1) == b""

    whole = answering(CHUNKED + END)
    with serving(waiting, whole) as server, connected(server) as connection:
        gevent.spawn_later(0.05, connection.leave)
        with pytest.raises(LeftAloneError):
            ask(connection, server)
        assert ask(connection, server)[0] == 200


def test_a_request_that_is_left_while_it_is_connected_is_not_sent() -> None:
    asked = []

    def told_nothing(peer: socket.socket) -> None:
        asked.append(peer.recv(1))

    with serving(told_nothing) as server, connected(server) as connection:
        gevent.spawn(connection.leave)
        with pytest.raises(LeftAloneError):
            ask(connection, server)
    assert asked == [b""]


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = Server.of(f"http://127.0.0.1:{port}")
    with pytest.raises(ConnectionRefusedError):
        ask(Connection(server), server)


def test_an_error_wakes_its_reader_while_the_stream_goes_on() -> None:
    going_on = threading.Event()

    def serve(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(CHUNKED + chunk(b"data: 1\n\n") + chunk(b'data: {"error": "full"}\n\n'))
        going_on.wait(10)
        peer.sendall(chunk(b"data: 2\n\n") + END)

    with serving(serve) as server, connected(server) as connection:
        stream = KeptStream(connection.more)
        connection.send(server.request("/", {}, b"body"), stream)
        assert connection.status() == 200
        assert connection.finish() is False
        going_on.set()
        assert b"".join(iter(stream.piece, b"")).endswith(b"data: 2\n\n")


def test_a_busy_process_does_not_make_an_event_late() -> None:
    sent: list[float] = []

    def serve(peer: socket.socket) -> None:
        request_of(peer)
        for word in (b"warm", b"late"):
            time.sleep(0.1)
            sent.append(time.monotonic())
            peer.sendall((CHUNKED if word == b"warm" else b"") + chunk(word))
        time.sleep(0.3)
        peer.sendall(END)

    with serving(serve) as server, connected(server) as connection:
        stream = KeptStream(connection.more)
        connection.send(server.request("/", {}, b"body"), stream)
        assert connection.status() == 200
        time.sleep(0.25)  # of the whole process: the event loop stands still
        connection.finish()
        stream.close()
        times = {piece: stream.time() for piece in iter(stream.piece, b"")}
    assert 0 <= times[b"late"] - sent[1] < 0.1


def test_a_server_s_path_and_port_go_into_the_request() -> None:
    server = Server.of("https://example.org/api/")
    assert (server.host, server.port, server.is_tls) == ("example.org", 443, True)
    request = server.request("/v1/completions", {"A": "b"}, b"{}")
    assert request.startswith(b"POST /api/v1/completions HTTP/1.1\r\nHost: example.org:443\r\n")
    assert request.endswith(b"A: b\r\nContent-Length: 2\r\n\r\n{}")
    assert b"Host: [::1]:80\r\n" in Server.of("http://[::1]").request("/", {}, b"")
