"""A loaded model behind a socket, until SIGTERM."""

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvicorn

from quantize.artifact.conversation import DEFAULT
from services.server.app import Engine, make_app
from services.server.backend import Backend, BackendError
from services.server.chat_template import ChatTemplate
from services.server.engine_protocol import EngineProtocol
from services.server.scheduler import Delivery, Scheduler

# The engine thread must get the interpreter back soon after a decode; Python's default lets
# another thread keep it for 5 ms, which is several tokens.
_SWITCH_INTERVAL_S = 0.0002
# Sequences that may wait for a place; the 1,025th is refused with a 429.
_MAX_WAITING = 1024
_SHUTDOWN_S = 5
_BACKLOG = 2048


def serve(make_backend: Callable[..., Backend], options: argparse.Namespace, key: str) -> int:
    """Load the model that the options name and serve it; returns the exit status."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        backend = _load(make_backend, options)
        template = _chat_template(backend, options.chat_template)
    except (BackendError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with listen(options.host, options.port) as listener:
        _serve(options, backend, template, key, listener)
    backend.close()
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once what is written to them.

    asyncio only does that for sockets that name TCP as their protocol, and Python's do not. With a
    head and a body in two writes, every answer on a kept-alive connection came 40 ms late.
    """
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _serve(
    options: argparse.Namespace,
    backend: Backend,
    template: ChatTemplate,
    key: str,
    listener: socket.socket,
) -> None:
    loop = asyncio.new_event_loop()

    def deliver(delivery: Delivery) -> None:
        # One wake-up of the server's loop per step, however many sequences have news.
        loop.call_soon_threadsafe(_hand_out, delivery)

    def announce() -> None:
        host, port = listener.getsockname()[:2]
        print(f"ready: http://{host}:{port}", flush=True)

    def died() -> None:
        # A server without its engine is worth less than none: whoever watches us starts anew.
        os.kill(os.getpid(), signal.SIGTERM)

    scheduler = Scheduler(backend, deliver, _MAX_WAITING, died, options.threads)
    engine = Engine(
        backend=backend,
        scheduler=scheduler,
        served_name=options.served_name,
        chat_template=template,
    )
    config = uvicorn.Config(
        make_app(engine, key, announce),
        log_level="warning",
        access_log=False,
        ws="none",
        http=EngineProtocol,
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    # What is loaded now lives as long as the process: collections need not look at it.
    gc.freeze()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


def _hand_out(delivery: Delivery) -> None:
    for receive, chunk in delivery:
        receive(chunk)


def _load(make_backend: Callable[..., Backend], options: argparse.Namespace) -> Backend:
    offered = {"kv_cache_dtype": options.kv_cache_dtype, "kv_cache_gib": options.kv_cache_gib}
    chosen = {key: value for key, value in offered.items() if value is not None}
    return make_backend(
        options.model,
        context_length=options.context_length,
        max_sequences=options.max_sequences,
        threads=options.threads,
        **chosen,
    )


def _chat_template(backend: Backend, path: Path | None) -> ChatTemplate:
    conversation = backend.capacity.conversation
    if path is not None:
        templates = {DEFAULT: path.read_text(encoding="utf-8")}
        conversation = replace(conversation, templates=templates)
    return ChatTemplate(conversation)
