"""The server's socket.

covers: services/server/serving.py
"""

import socket

from services.server.serving import listen


def test_an_accepted_connection_holds_nothing_back() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
