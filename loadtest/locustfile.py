"""What Locust runs: users that send completions when they are due, leg after leg of a round.

The variants of a round take turns within one process. Between two legs nothing is in flight: what
one variant still computed would be taken from the next. That is also when the answers are read: in
a leg they are kept as they come, because an event that is read keeps all others waiting for their
time.

Started by ``loadtest/locust_process.py``, never by hand. Locust patches the standard library
for gevent when it is imported, so nothing else of Assay may import this module. Locust's own
statistics (kept as HTML) get each request's end-to-end time; every figure of ours comes from the
records, because Locust's time of a streamed request leaves out its body and its percentiles are
rounded to two digits.
"""

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from geventhttpclient.response import HTTPConnectionClosed
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner

from loadtest.answer import Answer
from loadtest.client_health import HealthMonitor, go_first
from loadtest.completion import KeptStream, request_body
from loadtest.job import (
    KEY_VARIABLE,
    LOAD,
    Job,
    Leg,
    LegBegin,
    LegEnd,
    LegQuiet,
    LevelEnd,
    LoadMessage,
    RequestEnd,
)
from loadtest.levels import Level, Phase, Ticket
from loadtest.prompts import PromptSource, load_prompts, prompt_number
from quantize.jobs.job_server import Channel
from services.http.stream_chunk import error_message

# A user waits this long after an error: a server that refuses is not to be flooded.
ERROR_PAUSE_S = 0.5
POLL_S = 0.02
# Rounds have arrivals of their own, the same for every variant.
ARRIVALS_APART = 10_000
SPAWN_RATE = 100  # users per second; Locust warns above it
# As much as the kernel may hand over at once: one read then has all that came.
READ_BYTES = 1 << 16
# More than this is not kept: further answers are read as they end.
KEPT_BYTES = 1 << 30

Tell = Callable[[LoadMessage], None]


@dataclass(frozen=True)
class Running:
    """The leg at hand, and the level that says which of its requests count."""

    leg: Leg
    level: Level
    over: Event


class Round:
    """State of the one round that this process runs, shared by the conductor and all users."""

    def __init__(self, job: Job, prompts: PromptSource, tell: Tell) -> None:
        self.job = job
        self.tell = tell
        self.prompts = prompts
        self.headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := os.environ.get(KEY_VARIABLE):
            self.headers["Authorization"] = f"Bearer {key}"
        self.running: Running | None = None
        self.over = False
        self.in_flight = 0
        self.answers: deque[Answer] = deque()
        self.kept_bytes = 0

    def body(self, running: Running, ticket: Ticket) -> bytes:
        """The request that ``ticket`` of a leg sends: the same for every variant."""
        job, leg = self.job, running.leg
        number = prompt_number(
            index=ticket.index,
            round_number=job.round,
            rounds=job.rounds,
            level=job.points.index(leg.point),
            levels=len(job.points),
            attempt=job.attempt,
        )
        prompt = self.prompts.prompt(number, job.prompt_tokens)
        return request_body(leg.variant, prompt, job.output_tokens)

    def conduct(self, runner: Runner) -> None:
        """Step through the legs and end the test."""
        for place, leg in enumerate(self.job.legs):
            users = leg.point.users
            if place:  # the first leg's users come from the command line
                runner.start(users, spawn_rate=min(users, SPAWN_RATE))
            while runner.user_count != users:
                gevent.sleep(POLL_S)
            with _no_collections():
                end = self._measure(leg)
            self.tell(LegQuiet(leg=leg))
            self._tell_answers(runner)
            self.tell(end)
        self.over = True
        runner.quit()

    def keep(self, answer: Answer) -> None:
        """Take an answer that has ended, and read it at once where it must or may not be kept."""
        if answer.is_urgent or self.kept_bytes > KEPT_BYTES:
            answer.read(self.job)
        self.answers.append(answer)
        self.kept_bytes += answer.stream.size_bytes

    def _tell_answers(self, runner: Runner) -> None:
        """Read and tell all answers of a leg, in the order of their ends."""
        while self.answers:
            answer = self.answers.popleft()
            was_known = answer.is_read
            self.tell(RequestEnd.of(answer.record(self.job)))
            if answer.error and not was_known:
                runner.stats.log_error("POST", _entry(answer.leg), answer.error)
            gevent.sleep(0)
        self.kept_bytes = 0

    def _measure(self, leg: Leg) -> LegEnd:
        """Run one leg from its warm-up until nothing is in flight."""
        level = Level(
            point=leg.point,
            least=leg.point.least_requests(self.job.rounds),
            warmup_s=self.job.warmup_s,
            duration_s=self.job.duration_s,
            now=time.monotonic(),
            skipped=self.job.round * ARRIVALS_APART,
        )
        running = self.running = Running(leg, level, Event())
        _wait(level, while_in={Phase.WARMING})
        self.tell(LegBegin(leg=leg))
        opened = time.monotonic()
        with HealthMonitor(gevent.sleep, gevent.spawn) as monitor:
            _wait(level, while_in={Phase.COUNTING, Phase.FINISHING})
        counted_s = time.monotonic() - opened
        self.running = None
        running.over.set()
        while self.in_flight:
            gevent.sleep(POLL_S)
        end = LevelEnd(
            point=leg.point, opened_s=opened, counted_s=counted_s, client=monitor.health()
        )
        return LegEnd(leg=leg, level=end)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Look for no cyclic garbage within the block: it would stop every stream for its time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _entry(leg: Leg) -> str:
    """What Locust's own report calls the requests of a leg."""
    return f"{leg.variant} at {leg.point.place}"


def _wait(level: Level, *, while_in: set[Phase]) -> None:
    while level.phase in while_in:
        gevent.sleep(POLL_S)
        level.advance(time.monotonic())


class CompletionUser(FastHttpUser):  # type: ignore[misc]
    """One of the load point's users: waits for its turn, sends, and reads the answer."""

    def __init__(self, environment: Environment) -> None:
        self.round: Round = environment.assay_round
        self.host = self.round.job.url
        self.network_timeout = self.round.job.request_timeout_s
        super().__init__(environment)
        self.free_since = time.monotonic()

    @task  # type: ignore[untyped-decorator]
    def complete(self) -> None:
        """Send one completion and record it."""
        running = self.round.running
        if self.round.over:
            raise StopUser
        if running is None:
            gevent.sleep(POLL_S)
            return
        level = running.level
        due = level.next_due()
        if due is not None and running.over.wait(max(0.0, due - time.monotonic())):
            return  # the leg ended meanwhile
        self.round.in_flight += 1
        ticket = level.begin(time.monotonic())
        free_since = max(self.free_since, level.began_s)
        answer = self._send(running, ticket, free_since if due is None else due)
        self.free_since = answer.end_s
        level.finish(ticket, answer.end_s)
        self.round.in_flight -= 1
        if answer.error:
            gevent.sleep(ERROR_PAUSE_S)

    def _send(self, running: Running, ticket: Ticket, scheduled_s: float) -> Answer:
        """Send the request of ``ticket``, take its answer, and say what happened when."""
        job, leg = self.round.job, running.leg
        request_id = f"{leg.variant}-r{job.round}-{leg.point.key}-{ticket.index}"
        body = self.round.body(running, ticket)
        headers = {**self.round.headers, "x-request-id": request_id}
        answer = Answer(
            leg=leg,
            ticket=ticket,
            request_id=request_id,
            scheduled_s=scheduled_s,
            send_s=time.monotonic(),
        )
        with self.client.post(
            f"/{leg.variant}/v1/completions",
            name=_entry(leg),
            data=body,
            headers=headers,
            stream=True,
            catch_response=True,
        ) as response:
            _take(response, answer, job)
            answer.end_s = time.monotonic()
            self.round.keep(answer)
            # Locust stopped its clock at the header; its report is to show the whole request.
            response.request_meta["response_time"] = (answer.end_s - answer.send_s) * 1000
            if answer.error:
                response.failure(answer.error)
        return answer


def _take(response: Any, answer: Answer, job: Job) -> None:
    """Take the body of a response to its end, and fill in status and error of its answer.

    The raw response is read as its pieces come: Locust's ``iter_lines`` waits for blocks of 1,024
    bytes and so delivers tokens in bursts.
    """
    raw = getattr(response, "_response", None)
    if raw is None:
        answer.error = f"no connection: {response.error!r}"
        return
    answer.status = raw.get_code()
    answer.stream = KeptStream(partial(_read_piece, raw), time.monotonic)
    deadline = answer.send_s + job.request_timeout_s
    with gevent.Timeout(max(POLL_S, deadline - time.monotonic()), False):
        try:
            if answer.status != 200:
                said = error_message(response.content or b"")
                answer.error = f"HTTP {answer.status}: {said}"
            else:
                with _no_timer(raw._sock):
                    if not answer.stream.keep():
                        answer.read(job)
        except FAILURE_EXCEPTIONS as error:
            answer.error = f"the connection broke: {error!r}"
        answer.stream.close()
        return
    answer.stream.close()
    answer.error = "no complete answer within serving.request_timeout_s"


@contextmanager
def _no_timer(connection: Any) -> Iterator[None]:
    """Leave out the timer that every read of a connection would start; the whole body has one."""
    if connection is None:  # the body came with the header
        yield
        return
    seconds = connection.gettimeout()
    connection.settimeout(None)
    try:
        yield
    finally:
        connection.settimeout(seconds)


def _read_piece(raw: Any) -> bytes:
    """What has come of a body, as soon as anything has; nothing at its end."""
    buffer: bytearray = raw._body_buffer
    while not buffer:
        if raw.message_complete:
            return b""
        _feed(raw)
    piece = bytes(buffer)
    buffer.clear()
    return piece


def _feed(raw: Any) -> None:
    if raw._sock is None:
        raise HTTPConnectionClosed("connection closed.")
    try:
        raw.feed(raw._sock.recv(READ_BYTES))
    except BaseException:
        raw.release()
        raise


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """Take the job and start the conductor; the job is done when Locust ends well."""
    go_first()
    channel = Channel(LOAD)
    job = channel.next()
    assert job is not None
    environment.assay_round = Round(job, load_prompts(job.prompts), channel.tell)
    events.quit.add_listener(partial(_answer, channel))
    conductor = gevent.spawn(environment.assay_round.conduct, environment.runner)
    conductor.link_exception(lambda _greenlet: give_up(environment))


def _answer(channel: Channel[Job, LoadMessage, None], exit_code: int) -> None:
    if exit_code == 0:
        channel.answer(None)


@events.user_error.add_listener  # type: ignore[untyped-decorator]
def give_up(environment: Environment, **_: Any) -> None:
    """End with an error when our own code fails: Locust would log it and wait for ever."""
    environment.process_exit_code = 1
    gevent.spawn(environment.runner.quit)
