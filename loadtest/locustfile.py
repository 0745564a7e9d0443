"""What Locust runs: users that send completions when they are due, leg after leg of a round.

The variants of a round take turns within one process. Between two legs nothing is in flight: what
one variant still computed would be taken from the next.


Started by ``loadtest/locust_process.py``, never by hand. Locust patches the standard library
for gevent when it is imported, so nothing else of Assay may import this module. Locust's own
statistics (kept as HTML) get each request's end-to-end time; every figure of ours comes from the
records, because Locust's time of a streamed request leaves out its body and its percentiles are
rounded to two digits.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner

from loadtest.client_health import HealthMonitor, go_first
from loadtest.completion import Reading, fault, read_stream, request_body
from loadtest.job import (
    KEY_VARIABLE,
    LOAD,
    Job,
    Leg,
    LegBegin,
    LegEnd,
    LevelEnd,
    LoadMessage,
    RequestEnd,
)
from loadtest.levels import Level, Phase, Ticket
from loadtest.prompts import PromptSource, load_prompts, prompt_number
from loadtest.records import RequestRecord
from quantize.jobs.job_server import Channel
from services.http.stream_chunk import StreamError, error_message

# A user waits this long after an error: a server that refuses is not to be flooded.
ERROR_PAUSE_S = 0.5
POLL_S = 0.02
# Rounds have arrivals of their own, the same for every variant.
ARRIVALS_APART = 10_000
SPAWN_RATE = 100  # users per second; Locust warns above it

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
            self._measure(leg)
        self.over = True
        runner.quit()

    def _measure(self, leg: Leg) -> None:
        """Run one leg from its warm-up until nothing is in flight, and tell about it."""
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
        self.tell(LegEnd(leg=leg, level=end))


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
        record = self._record(running, ticket, free_since if due is None else due)
        self.free_since = record.end_s
        level.finish(ticket, record.end_s)
        self.round.in_flight -= 1
        self.round.tell(RequestEnd.of(record))
        if record.error:
            gevent.sleep(ERROR_PAUSE_S)

    def _record(self, running: Running, ticket: Ticket, scheduled_s: float) -> RequestRecord:
        """Send the request of ``ticket``, read its answer, and say what happened when."""
        job, leg = self.round.job, running.leg
        request_id = f"{leg.variant}-r{job.round}-{leg.point.key}-{ticket.index}"
        body = self.round.body(running, ticket)
        reading = Reading()
        send_s = time.monotonic()
        with self.client.post(
            f"/{leg.variant}/v1/completions",
            name=f"{leg.variant} at {leg.point.place}",
            data=body,
            headers={**self.round.headers, "x-request-id": request_id},
            stream=True,
            catch_response=True,
        ) as response:
            status, error = _read(response, reading, send_s + job.request_timeout_s)
            end_s = time.monotonic()
            error = error or fault(
                reading, prompt_tokens=job.prompt_tokens, output_tokens=job.output_tokens
            )
            # Locust stopped its clock at the header; its report is to show the whole request.
            response.request_meta["response_time"] = (end_s - send_s) * 1000
            if error:
                response.failure(error)
        return RequestRecord(
            variant=leg.variant,
            round=job.round,
            point=leg.point,
            request_id=request_id,
            counted=ticket.counted,
            scheduled_s=scheduled_s,
            send_s=send_s,
            first_token_s=reading.first_token_s,
            last_token_s=reading.last_token_s,
            end_s=end_s,
            prompt_tokens=reading.prompt_tokens,
            output_tokens=reading.output_tokens,
            chunks=reading.chunks,
            max_gap_s=reading.max_gap_s,
            status=status,
            error=error,
        )


def _read(response: Any, reading: Reading, deadline: float) -> tuple[int, str | None]:
    """Read the answer into ``reading``; returns the HTTP status and why it failed, if it did.

    The raw response is read line by line: Locust's ``iter_lines`` waits for blocks of 1,024 bytes
    and so delivers tokens in bursts. Status 0: there was no answer.
    """
    raw = getattr(response, "_response", None)
    if raw is None:
        return 0, f"no connection: {response.error!r}"
    status: int = raw.get_code()
    with gevent.Timeout(max(POLL_S, deadline - time.monotonic()), False):
        try:
            if status != 200:
                return status, f"HTTP {status}: {error_message(response.content or b'')}"
            read_stream(reading, lambda: raw.readline(b"\n"), time.monotonic)
        except StreamError as error:
            return status, str(error)
        except FAILURE_EXCEPTIONS as error:
            return status, f"the connection broke: {error!r}"
        return status, None
    return status, "no complete answer within serving.request_timeout_s"


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
