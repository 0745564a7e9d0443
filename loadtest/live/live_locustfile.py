"""Locust's own page on our endpoints: a kind of user each, our metrics in its tables.

TTFT and TPOT of every answer stand in Locust's statistics, charts and reports as entries of their
own, beside the request's end-to-end time; a tab tells them exactly, by the definitions of our
report. Started by ``live_job.show_page``, never by hand. Locust patches the standard library when
it is imported, so nothing else of Assay may import this module.
"""

import json
import os
import time
from itertools import count
from pathlib import Path
from typing import Any

import gevent
from flask import Response, request
from locust import User, events, task
from locust.env import Environment
from locust.exception import CatchResponseError

from deploy.client_key import client_headers
from loadtest.completion import KeptStream, Reading, read_stream
from loadtest.connection import ERROR_PAUSE_S, Connection, Server
from loadtest.live.live_figures import COLUMNS, LiveAnswer, LiveFigures
from loadtest.live.live_job import JOB_VARIABLE, LiveJob, LiveTarget
from loadtest.texts import load_texts, text_of
from services.http.stream_chunk import StreamError, error_message

TAB = "assay"
JOB = LiveJob.model_validate_json(Path(os.environ[JOB_VARIABLE]).read_bytes())
TEXTS = load_texts(JOB.texts)
FIGURES = {target.name: LiveFigures(name=target.name) for target in JOB.targets}
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", **client_headers()}
NUMBERS = count()


class LiveUser(User):  # type: ignore[misc]
    """Asks its endpoint without a pause; its subclasses say which."""

    abstract = True
    target: LiveTarget

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.server = Server.of(self.target.url)
        self.connection = Connection(self.server)

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        """Send one request, and tell what came of it."""
        dialect = self.target.dialect
        body = dialect.body(text_of(TEXTS, next(NUMBERS)), JOB.output_tokens)
        stream, reading = KeptStream(self.connection.more), Reading()
        sent_s = time.monotonic()
        try:
            error = self._take(self.server.request(dialect.route, HEADERS, body), stream)
        finally:  # Locust may end us here
            stream.close()
            self.connection.release()
        error = error or self._read(stream, reading)
        self._tell(sent_s, reading, error)
        if error:
            gevent.sleep(ERROR_PAUSE_S)

    def _take(self, asked: bytes, stream: KeptStream) -> str | None:
        """Take the whole answer; returns why it failed."""
        with gevent.Timeout(JOB.request_timeout_s, False):
            try:
                self.connection.send(asked, stream)
                status = self.connection.status()
                while not self.connection.finish() and self.connection.more():
                    pass
            except OSError as error:
                return f"the connection broke: {error}"
            if status == 200:
                return None
            stream.close()
            return f"HTTP {status}: {error_message(stream.rest())}"
        return "no complete answer in time"

    def _read(self, stream: KeptStream, reading: Reading) -> str | None:
        try:
            read_stream(reading, stream.piece, stream.time)
        except StreamError as error:
            return str(error)
        self.target.dialect.completed(reading)
        return self.target.dialect.fault(reading, JOB.output_tokens)

    def _tell(self, sent_s: float, reading: Reading, error: str | None) -> None:
        name, end_s = self.target.name, time.monotonic()
        first_s, last_s = reading.first_token_s, reading.last_token_s
        good = not error and first_s is not None and last_s is not None
        self._fire("POST", name, (last_s if good and last_s else end_s) - sent_s, error)
        if not good or first_s is None or last_s is None:
            FIGURES[name].take(None)
            return
        tokens = reading.output_tokens
        tpot_s = (last_s - first_s) / (tokens - 1) if tokens > 1 else None
        self._fire("TTFT", name, first_s - sent_s)
        if tpot_s is not None:
            self._fire("TPOT", name, tpot_s)
        answer = LiveAnswer(
            end_s=end_s,
            ttft_s=first_s - sent_s,
            tpot_s=tpot_s,
            max_gap_s=reading.max_gap_s,
            tokens=tokens,
        )
        FIGURES[name].take(answer)

    def _fire(self, kind: str, name: str, seconds: float, error: str | None = None) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=1000 * seconds,
            response_length=0,
            exception=CatchResponseError(error) if error else None,
            context={},
        )


def _user_of(target: LiveTarget) -> type[LiveUser]:
    return type(target.user_kind, (LiveUser,), {"target": target, "host": target.url})


# Locust looks for its users among the names of this module.
globals().update({target.user_kind: _user_of(target) for target in JOB.targets})


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(**_: Any) -> None:
    """Each test begins with empty figures."""
    for figures in FIGURES.values():
        figures.clear()


@events.init.add_listener  # type: ignore[untyped-decorator]
def extend_page(web_ui: Any = None, **_: Any) -> None:
    """Add our tab, and what it shows to what the page asks for every two seconds."""
    if web_ui is None:
        return
    structure = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    web_ui.template_args |= {
        "extended_tabs": [{"title": "Tokens", "key": TAB}],
        "extended_tables": [{"key": TAB, "structure": structure}],
    }

    @web_ui.app.after_request  # type: ignore[untyped-decorator]
    def tell(response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.status_code == 200:
            rows = [figures.row(time.monotonic()) for figures in FIGURES.values()]
            told = {**response.get_json(), "extended_stats": [{"key": TAB, "data": rows}]}
            response.set_data(json.dumps(told))
        return response
