"""The table of routes: what clients may ask, alike of every variant and of the gateway.

A variant's app, the gateway and the tests read it. OpenAI's clients are given bases with and
without ``/v1``, and join paths to them with more or fewer slashes than one, so ``/v1`` and empty
parts of a path mean nothing here: a route has one name, however it is written.
"""

from dataclasses import dataclass
from typing import Literal

from services.http.errors import RequestError

Method = Literal["GET", "POST"]
PREFIX = "v1"
MODEL = "/models/"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route under its name, which has no ``/v1``.

    ``engine_path`` is where an engine answers it; without one, our own apps answer. The gateway
    chooses the variant of what engines answer by the request's ``model``. ``asks`` says what kind
    of answer is to be generated, by which its fields are read; such are counted as traffic.
    ``is_open``: answered without a key.
    """

    name: str
    methods: tuple[Method, ...]
    engine_path: str | None = None
    asks: Literal["chat", "completions"] | None = None
    is_open: bool = False


_GET: tuple[Method, ...] = ("GET",)
_POST: tuple[Method, ...] = ("POST",)
ROUTES = (
    Route(name="/completions", methods=_POST, engine_path="/v1/completions", asks="completions"),
    Route(name="/chat/completions", methods=_POST, engine_path="/v1/chat/completions", asks="chat"),
    # As vLLM has them.
    Route(name="/tokenize", methods=_POST, engine_path="/tokenize"),
    Route(name="/detokenize", methods=_POST, engine_path="/detokenize"),
    Route(name="/models", methods=_GET),
    Route(name=MODEL, methods=_GET),
    Route(name="/version", methods=_GET),
    # The first two tell nothing but whether it answers, as vLLM's; the last one what runs.
    Route(name="/health", methods=_GET, is_open=True),
    Route(name="/ping", methods=("GET", "POST"), is_open=True),
    Route(name="/healthz", methods=_GET, is_open=True),
    Route(name="/metrics", methods=_GET),
)
_BY_NAME = {route.name: route for route in ROUTES}
OPEN_NAMES = tuple(route.name for route in ROUTES if route.is_open)
# As clients' documentation writes them.
WRITTEN = tuple(
    route.engine_path
    or {"/models": "/v1/models", MODEL: "/v1/models/{id}"}.get(route.name, route.name)
    for route in ROUTES
)


def named(path: str) -> str:
    """The name of a path: without ``/v1`` before it, and without empty parts."""
    parts = [part for part in path.split("/") if part]
    while parts and parts[0] == PREFIX:
        del parts[0]
    return "/" + "/".join(parts)


def find_route(name: str) -> Route | None:
    """The route of a name; of ``/models/<id>`` it is that of all models' descriptions."""
    return _BY_NAME.get(MODEL if name.startswith(MODEL) else name)


def model_of(name: str) -> str:
    """The model that a ``/models/<id>`` asks for."""
    return name.removeprefix(MODEL)


def check_method(route: Route, method: str, path: str) -> None:
    """Hold a request's method against its route's; HEAD is answered wherever GET is.

    Raises:
        RequestError: 405, with the methods that are taken.
    """
    if method in route.methods or (method == "HEAD" and "GET" in route.methods):
        return
    allowed = [*route.methods, *(["HEAD"] if "GET" in route.methods else [])]
    raise RequestError(405, f"{path} takes {' or '.join(route.methods)}", allow=allowed)


def no_route(path: str, hint: str = "") -> RequestError:
    """What a path is answered with that no route has."""
    return RequestError(404, f"no route {path!r}: use {', '.join(WRITTEN)}{hint}")
