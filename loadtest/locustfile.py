"""What Locust runs: users that send completions when they are due, leg after leg of a round.

The variants of a round take turns. Between two legs nothing is in flight: what one variant still
computed would be taken from the next. A service of ours ends what its client leaves, so there the
uncounted requests at a leg's end are left; any other endpoint is waited for. That is also when the
answers are read: in a leg they are kept as they come, because an event that is read keeps all
others waiting.

Started by ``loadtest/locust_process.py``, never by hand, as one process or, with ``--processes``,
as Locust's master and workers: ``conductor.py`` leads the legs, and every ``Round`` here carries
out its share of them. Locust patches the standard library for gevent when it is imported, so
nothing else of Assay may import this module. Locust's own statistics (kept as HTML) get each
request's end-to-end time; every figure of ours comes from the records, because Locust's percentiles
are rounded to two digits.
"""

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from locust import User, events, task
from locust.env import Environment
from locust.exception import CatchResponseError, StopUser
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from deploy.plan_load import MOST_PROCESSES
from loadtest.answer import Answer
from loadtest.asks import Ask, Asks, Terms
from loadtest.board import Board, Count
from loadtest.client_health import HealthMonitor, go_first
from loadtest.completion import KeptStream, request_body
from loadtest.conductor import POLL_S, Asked, Conductor, Said, level_of
from loadtest.connection import ERROR_PAUSE_S, Connection, LeftAloneError, Server
from loadtest.job import KEY_VARIABLE, LOAD, Job, Leg, LoadMessage
from loadtest.levels import Level, Phase, Ticket
from loadtest.prompts import PromptSource, load_prompts, plain_prompts, prompt_number
from loadtest.records import RequestRecord, as_row
from loadtest.texts import Texts, load_texts
from quantize.jobs.job_server import Channel
from services.http.stream_chunk import error_message

# More than this is not kept: further answers are read as they end.
KEPT_BYTES = 1 << 30
# By then a service of ours has noticed that a client is gone.
NOTICED_S = 0.1
# Records in one message.
TOLD_AT_ONCE = 200
# Locust loads this file and then forks: all its processes have this one.
BOARD = Board.shared(MOST_PROCESSES)


@dataclass(frozen=True)
class Running:
    """The leg at hand, the level that says which of its requests count, and what they ask.

    ``uncounted`` are the connections of those in flight that do not count.
    """

    leg: Leg
    level: Level
    asks: Asks
    over: Event = field(default_factory=Event)
    uncounted: set[Connection] = field(default_factory=set)

    @contextmanager
    def asked_on(self, connection: Connection, ticket: Ticket) -> Iterator[None]:
        """A request is in flight within the block."""
        if not ticket.counted:
            self.uncounted.add(connection)
        try:
            yield
        finally:
            self.uncounted.discard(connection)


class Round:
    """This generator's part of the round: what its users share, and what they have brought.

    ``place`` (from 0) of ``places`` generators, that is: each takes its share of every leg.
    """

    def __init__(self, environment: Environment, asked: dict[str, Any]) -> None:
        self.job = Job.model_validate_json(asked["job"])
        texts, path = self.job.dialect is not None, self.job.prompts
        self.prompts: PromptSource = plain_prompts() if texts else load_prompts(path)
        self.texts = load_texts(path) if texts else Texts(())
        self.headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := os.environ.get(KEY_VARIABLE):
            self.headers["Authorization"] = f"Bearer {key}"
        self.server = Server.of(self.job.url)
        self.running: Running | None = None
        self.over = False
        self.answers: deque[Answer] = deque()
        self.kept_bytes = 0
        self._environment = environment
        self._runner: Runner = environment.runner
        self._place, self._places = asked["place"], asked["places"]
        self._board = BOARD

    def asks(self, leg: Leg) -> Asks:
        """What the requests of a leg ask: the same for every variant."""
        job, point = self.job, leg.point

        def number(index: int) -> int:
            return prompt_number(
                index=index,
                round_number=job.round,
                rounds=job.rounds,
                level=job.points.index(point),
                levels=len(job.points),
                attempt=job.attempt,
                series=job.series,
            )

        terms = Terms(
            load=job.load_at(point),
            prompts=self.prompts,
            number=number,
            due_s=point.due_s,
            users=point.users,
            amount=point.amount,
            round=job.round,
            place=self._place,
            places=self._places,
        )
        return point.asks(terms)

    def request(self, leg: Leg, ask: Ask, request_id: str) -> bytes:
        """A request, whole: token ids for ours, a text for an endpoint with a dialect."""
        if (dialect := self.job.dialect) is not None:
            text = self.texts.text(ask.number)
            route, body = dialect.route, dialect.body(text, ask.output_tokens)
        else:
            route = completions_of(leg.variant)
            body = request_body(leg.variant, ask.prompt, ask.output_tokens, exact=ask.exact)
        return self.server.request(route, {**self.headers, "x-request-id": request_id}, body)

    def keep(self, answer: Answer) -> None:
        """Take an answer that has ended, and read it at once where it must or may not be kept."""
        if answer.is_urgent or self.kept_bytes > KEPT_BYTES:
            answer.read(self.job)
        self.answers.append(answer)
        self.kept_bytes += answer.stream.size_bytes

    def begin(self, leg: Leg, began_s: float) -> None:
        """Take part in a leg from now on; says when nothing of it is in flight any more."""
        level = level_of(
            self.job, leg, began_s, board=self._board, place=self._place, places=self._places
        )
        self.running = Running(leg, level, self.asks(leg))
        spawn(self._environment, partial(self._follow, self.running))

    def _follow(self, running: Running) -> None:
        level = running.level
        with _no_collections():
            _wait_while(lambda: level.phase is Phase.WARMING)
            with HealthMonitor(gevent.sleep, gevent.spawn) as monitor:
                _wait_while(lambda: level.phase is not Phase.DONE)
            self.running = None
            running.over.set()
            if self.job.dialect is None:
                self._leave(running)
            _wait_while(lambda: self._board.count(self._place, Count.IN_FLIGHT) > 0)
        self._say(Said.QUIET, monitor.health().model_dump())

    def _leave(self, running: Running) -> None:
        """Leave what is in flight and does not count; blocks until the engine has dropped it."""
        for connection in running.uncounted:
            connection.leave()
        if running.uncounted:
            gevent.sleep(NOTICED_S)
            self._ask_for_a_token(running.leg.variant)

    def _ask_for_a_token(self, variant: str) -> None:
        """Block for one token, or until the endpoint fails at it.

        An engine drops what was left between two steps, before it takes up anything new.
        """
        connection = Connection(self.server)
        body = request_body(variant, [0], 1)
        stream = KeptStream(connection.more)
        with gevent.Timeout(self.job.request_timeout_s, False), suppress(OSError):
            connection.send(
                self.server.request(completions_of(variant), self.headers, body), stream
            )
            connection.status()
            connection.finish()
        stream.close()
        connection.close()

    def tell(self) -> None:
        """Read all answers of a leg, and tell their records in the order of their ends."""
        while self.answers:
            piece = [self.answers.popleft() for _ in range(min(TOLD_AT_ONCE, len(self.answers)))]
            self._say(Said.ANSWERS, [as_row(self._read(answer)) for answer in piece])
            gevent.sleep(0)
        self.kept_bytes = 0
        self._say(Said.TOLD, None)

    def _read(self, answer: Answer) -> RequestRecord:
        was_known = answer.is_read
        record = answer.record(self.job)
        if answer.error and not was_known:
            self._runner.stats.log_error("POST", entry(answer.leg), answer.error)
        return record

    def _say(self, what: Said, content: Any) -> None:
        self._runner.send_message(what, {"place": self._place, "content": content})


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


def completions_of(variant: str) -> str:
    """Where a variant of ours completes."""
    return f"/{variant}/v1/completions"


def entry(leg: Leg) -> str:
    """What Locust's own report calls the requests of a leg."""
    return f"{leg.variant} at {leg.point.place}"


def _wait_while(still: Callable[[], bool]) -> None:
    while still():
        gevent.sleep(POLL_S)


class CompletionUser(User):  # type: ignore[misc]
    """One of the load point's users: waits for its turn, sends, and reads the answer."""

    def __init__(self, environment: Environment) -> None:
        self.round: Round = environment.assay_round
        super().__init__(environment)
        self.connection = Connection(self.round.server)
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
        level, asks = running.level, running.asks
        turn = asks.take(level.began_s, self.free_since)
        ask = asks.ask(turn)
        if turn.due_s is not None and running.over.wait(max(0.0, turn.due_s - time.monotonic())):
            return  # the leg ended meanwhile
        ticket = level.begin(time.monotonic())
        try:
            with running.asked_on(self.connection, ticket):
                answer = self._send(running.leg, ticket, ask, turn.since_s)
        except LeftAloneError:
            level.finish(ticket, time.monotonic())
            return
        if asks.wants_answers:
            answer.read(self.round.job)
        asks.answered(turn, answer.text, answer.end_s)
        self.free_since = answer.end_s
        level.finish(ticket, answer.end_s)
        if answer.error:
            gevent.sleep(ERROR_PAUSE_S)

    def _send(self, leg: Leg, ticket: Ticket, ask: Ask, scheduled_s: float) -> Answer:
        """Send the request of ``ticket``, take its answer, and say what happened when."""
        request_id = f"{leg.variant}-r{self.round.job.round}-{leg.point.key}-{ticket.index}"
        request = self.round.request(leg, ask, request_id)
        answer = Answer(
            leg=leg,
            ticket=ticket,
            ask=ask.packed(),
            request_id=request_id,
            scheduled_s=scheduled_s,
            send_s=time.monotonic(),
        )
        try:
            self._take(request, answer)
        finally:  # Locust may end us here
            answer.stream.close()
            self.connection.release()
        self.round.keep(answer)
        self._report(answer)
        return answer

    def _take(self, request: bytes, answer: Answer) -> None:
        """Take a whole answer, and fill in its status, its end and its error."""
        job, connection = self.round.job, self.connection
        answer.stream = KeptStream(connection.more)
        answer.error = "no complete answer within serving.request_timeout_s"
        with gevent.Timeout(job.request_timeout_s, False):
            try:
                connection.send(request, answer.stream)
                answer.status = connection.status()
                whole = connection.finish()
                if answer.status != 200:
                    answer.error = f"HTTP {answer.status}: {error_message(answer.stream.rest())}"
                elif whole:
                    answer.error = None
                else:
                    answer.read_live(job)
            except OSError as error:
                kind = "the connection broke" if answer.status else "no connection"
                answer.error = f"{kind}: {error}"
        answer.end_s = time.monotonic()

    def _report(self, answer: Answer) -> None:
        """Tell Locust's own statistics."""
        self.environment.events.request.fire(
            request_type="POST",
            name=entry(answer.leg),
            response_time=(answer.end_s - answer.send_s) * 1000,
            response_length=answer.stream.size_bytes,
            exception=CatchResponseError(answer.error) if answer.error else None,
            context={},
        )


@events.init.add_listener  # type: ignore[untyped-decorator]
def listen(environment: Environment, runner: Runner, **_: Any) -> None:
    """Hear what the conductor says; of a generator in the same process too."""

    def take_job(msg: Message, **_: Any) -> None:
        environment.assay_round = Round(environment, msg.data)

    def begin_leg(msg: Message, **_: Any) -> None:
        leg = environment.assay_round.job.legs[msg.data["leg"]]
        environment.assay_round.begin(leg, msg.data["began_s"])

    def tell(**_: Any) -> None:
        spawn(environment, environment.assay_round.tell)

    def end(**_: Any) -> None:
        environment.assay_round.over = True

    go_first()
    if not isinstance(runner, MasterRunner):
        runner.register_message(Asked.JOB, take_job)
        runner.register_message(Asked.LEG, begin_leg)
        runner.register_message(Asked.TELL, tell)
        runner.register_message(Asked.END, end)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """Take the job and start the conductor; the job is done when Locust ends well."""
    if isinstance(environment.runner, WorkerRunner):
        return
    channel = Channel(LOAD)
    job = channel.next()
    assert job is not None
    events.quit.add_listener(partial(_answer, channel))
    conductor = Conductor(job, environment.runner, BOARD, channel.tell)
    conductor.hand_out()
    spawn(environment, conductor.conduct)


def _answer(channel: Channel[Job, LoadMessage, None], exit_code: int) -> None:
    if exit_code == 0:
        channel.answer(None)


def spawn(environment: Environment, work: Callable[[], None]) -> None:
    """Start what others wait for: where it fails, all end."""
    gevent.spawn(work).link_exception(lambda _greenlet: give_up(environment))


@events.user_error.add_listener  # type: ignore[untyped-decorator]
def give_up(environment: Environment, **_: Any) -> None:
    """End with an error when our own code fails: Locust would log it and wait for ever."""
    environment.process_exit_code = 1
    gevent.spawn(environment.runner.quit)
