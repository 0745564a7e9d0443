"""Locust's own page on our endpoints: a kind of user each, our metrics in its tables.

What they ask is what the plan's load asks: its text, prefixes, lengths, sessions, runaway requests;
how many users ask is up to the page. TTFT and TPOT of every answer stand in Locust's statistics,
charts and reports as entries of their own, beside the request's end-to-end time; a tab tells them
exactly, by the definitions of our report. Started by ``live_job.show_page``, never by hand. Locust
patches the standard library when it is imported, so nothing else of Assay may import this module.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from flask import Response, request
from locust import User, events, task
from locust.env import Environment
from locust.exception import CatchResponseError

from deploy.client_key import client_headers
from loadtest.asks import Ask, Asks, Terms
from loadtest.completion import KeptStream, Reading, fault, read_stream, request_body
from loadtest.connection import ERROR_PAUSE_S, Connection, Server
from loadtest.live.live_figures import COLUMNS, LiveAnswer, LiveFigures
from loadtest.live.live_job import JOB_VARIABLE, LiveJob, LiveTarget
from loadtest.load_kinds import points_of
from loadtest.prompts import load_prompts, prompt_number
from services.http.stream_chunk import StreamError, error_message

TAB = "assay"
# So many tests may be begun on a page until prompts come again.
TESTS = 16
JOB = LiveJob.model_validate_json(Path(os.environ[JOB_VARIABLE]).read_bytes())
PROMPTS = load_prompts(JOB.prompts)
FIGURES = {target.name: LiveFigures(name=target.name) for target in JOB.targets}
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", **client_headers()}


class Test:
    """One test on the page: since when, and what each endpoint is asked, all of them the same."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.began_s = time.monotonic()
        self.asks = {target.name: self._asks() for target in JOB.targets}

    def _asks(self) -> Asks:
        point, test = points_of(JOB.load)[0], self.number % TESTS

        def number(index: int) -> int:
            return prompt_number(
                index=index, round_number=test, rounds=TESTS, level=0, levels=1, series=JOB.series
            )

        terms = Terms(
            load=JOB.load, prompts=PROMPTS, number=number, users=point.users, amount=point.amount
        )
        return point.asks(terms)


class LiveUser(User):  # type: ignore[misc]
    """Asks its endpoint when its last answer is there, or its load says; subclasses say which."""

    abstract = True
    target: LiveTarget

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.server = Server.of(self.target.url)
        self.connection = Connection(self.server)
        self.free_since = time.monotonic()

    @task  # type: ignore[untyped-decorator]
    def turn(self) -> None:
        """Take a turn of the load: wait for its time, ask, and say what was answered."""
        test = self.environment.assay_test
        asks: Asks = test.asks[self.target.name]
        turn, text = asks.take(test.began_s, self.free_since), None
        try:
            ask = asks.ask(turn)
            if turn.due_s is not None:
                gevent.sleep(max(0.0, turn.due_s - time.monotonic()))
            text = self._ask(ask)
        finally:  # Locust may end us here
            self.free_since = time.monotonic()
            asks.answered(turn, text, self.free_since)
        if text is None:
            gevent.sleep(ERROR_PAUSE_S)

    def _ask(self, ask: Ask) -> str | None:
        """Send one request, and tell what came of it; returns its text, None where it failed."""
        body = request_body(self.target.name, ask.prompt, ask.output_tokens, exact=ask.exact)
        stream, reading = KeptStream(self.connection.more), Reading()
        sent_s = time.monotonic()
        try:
            error = self._take(self.server.request("/v1/completions", HEADERS, body), stream)
        finally:
            stream.close()
            self.connection.release()
        error = error or self._read(stream, reading, ask)
        self._tell(sent_s, reading, error, ask)
        return None if error else "".join(reading.written)

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

    def _read(self, stream: KeptStream, reading: Reading, ask: Ask) -> str | None:
        try:
            read_stream(reading, stream.piece, stream.time)
        except StreamError as error:
            return str(error)
        return fault(
            reading,
            prompt_tokens=ask.prompt_tokens,
            output_tokens=ask.output_tokens,
            exact=ask.exact,
        )

    def _tell(self, sent_s: float, reading: Reading, error: str | None, ask: Ask) -> None:
        """Tell Locust, and our tab but of what was there to disturb the others."""
        end_s = time.monotonic()
        name = self.target.name + (" (runaway)" if ask.intruder else "")
        first_s, last_s = reading.first_token_s, reading.last_token_s
        good = not error and first_s is not None and last_s is not None
        self._fire("POST", name, (last_s if good and last_s else end_s) - sent_s, error)
        told = None if ask.intruder else FIGURES[name]
        if not good or first_s is None or last_s is None:
            return told.take(None) if told else None
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
        return told.take(answer) if told else None

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
def begin(environment: Environment, **_: Any) -> None:
    """Each test begins with empty figures, and with prompts that none before it had."""
    environment.assay_test = Test(environment.assay_test.number + 1)
    for figures in FIGURES.values():
        figures.clear()


@events.init.add_listener  # type: ignore[untyped-decorator]
def extend_page(environment: Environment, web_ui: Any = None, **_: Any) -> None:
    """Add our tab, and what it shows to what the page asks for every two seconds."""
    environment.assay_test = Test(-1)
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
