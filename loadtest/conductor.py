"""Leads the legs of a round: tells the generators when one begins, and tells what they brought.

The generators are Locust's workers, or the one process itself where there are no workers: Locust
hands messages to either in the same way. While a leg runs nothing is sent: all look at one board
(``board.py``), and all have one clock, as processes of one machine do.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import gevent
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner

from loadtest.board import Board
from loadtest.job import (
    ClientHealth,
    Job,
    Leg,
    LegBegin,
    LegEnd,
    LegQuiet,
    LevelEnd,
    LoadMessage,
    RequestEnd,
)
from loadtest.levels import Level, Phase

POLL_S = 0.02
SPAWN_RATE = 100  # users per second and generator; Locust warns above it

Tell = Callable[[LoadMessage], None]


class Asked(StrEnum):
    """What a generator is asked."""

    JOB = "assay-job"
    LEG = "assay-leg"
    TELL = "assay-tell"
    END = "assay-end"


class Said(StrEnum):
    """What a generator says: it has nothing in flight, some records, all records are told."""

    QUIET = "assay-quiet"
    ANSWERS = "assay-answers"
    TOLD = "assay-told"


class LostGeneratorError(RuntimeError):
    """A generator is gone, and with it what it measured."""


def level_of(job: Job, leg: Leg, began_s: float, **shared: Any) -> Level:
    """The level of a leg; ``shared`` says which part of it, see ``Level``."""
    load = job.load_at(leg.point)
    return Level(
        point=leg.point,
        least=leg.point.least_requests(job.rounds),
        warmup_s=load.warmup_s,
        duration_s=load.duration_s,
        now=began_s,
        leads=False,
        **shared,
    )


class Conductor:
    """Leads one round by a ``board``; ``tell`` gets what the load test is to know of it."""

    def __init__(self, job: Job, runner: Runner, board: Board, tell: Tell) -> None:
        self._job = job
        self._runner = runner
        self._tell = tell
        self._places = [*runner.clients] if isinstance(runner, MasterRunner) else [None]
        self._board = board
        self._said: dict[Said, dict[int, Any]] = defaultdict(dict)
        self._rows: list[dict[str, Any]] = []
        for what in Said:
            runner.register_message(what, self._hear)

    def hand_out(self) -> None:
        """Give every generator the job and its place."""
        for place, client in enumerate(self._places):
            asked = {
                "job": self._job.model_dump_json(),
                "place": place,
                "places": len(self._places),
            }
            self._runner.send_message(Asked.JOB, asked, client)

    def conduct(self) -> None:
        """Step through the legs and end the test.

        Raises:
            LostGeneratorError: a generator ended early.
        """
        for number, leg in enumerate(self._job.legs):
            self._gather(leg.point.users, are_there=number == 0)
            end = self._measure(number, leg)
            self._tell(LegQuiet(leg=leg))
            self._tell_answers()
            self._tell(end)
        self._runner.send_message(Asked.END)
        self._runner.quit()

    def _gather(self, users: int, *, are_there: bool) -> None:
        """Have so many users; the first leg's come from the command line."""
        if not are_there:
            self._runner.start(users, spawn_rate=min(users, SPAWN_RATE * len(self._places)))
        self._wait_while(lambda: self._runner.user_count != users)

    def _measure(self, number: int, leg: Leg) -> LegEnd:
        """Run one leg from its warm-up until nothing is in flight."""
        self._board.clear()
        self._said.clear()
        began_s = time.monotonic()
        level = level_of(self._job, leg, began_s, board=self._board)
        self._runner.send_message(Asked.LEG, {"leg": number, "began_s": began_s})
        self._advance(level, while_in={Phase.WARMING})
        self._tell(LegBegin(leg=leg))
        opened_s = time.monotonic()
        self._advance(level, while_in={Phase.COUNTING, Phase.FINISHING})
        counted_s = time.monotonic() - opened_s
        healths = [ClientHealth.model_validate(it) for it in self._all(Said.QUIET).values()]
        end = LevelEnd(
            point=leg.point,
            opened_s=opened_s,
            counted_s=counted_s,
            client=ClientHealth.of_all(healths),
        )
        return LegEnd(leg=leg, level=end)

    def _tell_answers(self) -> None:
        """Have all answers of a leg read, and tell them in the order of their ends."""
        self._runner.send_message(Asked.TELL)
        self._all(Said.TOLD)
        for row in sorted(self._rows, key=lambda it: float(it["end_s"])):
            self._tell(RequestEnd(row))
            gevent.sleep(0)
        self._rows.clear()

    def _advance(self, level: Level, *, while_in: set[Phase]) -> None:
        while level.phase in while_in:
            self._wait()
            level.advance(time.monotonic())

    def _all(self, what: Said) -> dict[int, Any]:
        """What every generator says of a kind, once all have."""
        self._wait_while(lambda: len(self._said[what]) < len(self._places))
        return self._said[what]

    def _wait_while(self, still: Callable[[], bool]) -> None:
        while still():
            self._wait()

    def _wait(self) -> None:
        gevent.sleep(POLL_S)
        lost = isinstance(self._runner, MasterRunner) and (
            self._runner.worker_count < len(self._places)
        )
        if lost:
            raise LostGeneratorError(
                f"{len(self._places) - self._runner.worker_count} of {len(self._places)} processes "
                "of the load generator ended early or hang"
            )

    def _hear(self, msg: Message, **_: Any) -> None:
        what, place = Said(msg.type), msg.data["place"]
        if what is Said.ANSWERS:
            self._rows += msg.data["content"]
        else:
            self._said[what][place] = msg.data["content"]
