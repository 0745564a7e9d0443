"""When a level warms up, measures and ends, and which requests count. Pure; time is passed in.

A level is one load point in one round. After the warm-up a window opens; every request **sent in
the window counts**, and the load goes on until the last of them is answered, so
each is measured whole and under full load. Counting only what also *finishes* in the window would
favour short requests, and cutting the load at its end would flatter the last ones.

What is in flight at the end of a level belongs to nobody; the next one begins when it is gone.
"""

from dataclasses import dataclass
from enum import Enum

from loadtest.board import Board, Count
from loadtest.load_point import LoadPoint

# A slow variant's window stays open until enough requests were sent, but no longer than so many
# times the planned duration.
LONGEST_STRETCH = 10


class Phase(Enum):
    """The life of a level, in order."""

    WARMING = "warming"
    COUNTING = "counting"
    FINISHING = "finishing"
    DONE = "done"


_PHASES = tuple(Phase)


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Leave to send request ``index`` (from 0) of a level; ``counted`` as in the record."""

    index: int
    counted: bool


class Level:
    """One level; ``now`` is always seconds of the same monotonic clock.

    At ``least`` so many requests are sent in the window, however slow the variant is.

    Several generators may share a level, each with an object of its own and a ``place``: they have
    their counts on one ``board``. One object ``leads``, and alone goes on to other phases.
    """

    def __init__(
        self,
        *,
        point: LoadPoint,
        least: int,
        warmup_s: float,
        duration_s: float,
        now: float,
        board: Board | None = None,
        place: int = 0,
        places: int = 1,
        leads: bool = True,
    ) -> None:
        self.point = point
        self._board = board or Board.shared()
        self._leads = leads
        self._warmup_s = warmup_s
        self._duration_s = duration_s
        self._least = least
        self._began = self._since = now
        self._place, self._places = place, places
        self._index = place

    @property
    def phase(self) -> Phase:
        """The phase that the leader has come to."""
        return _PHASES[self._board.phase]

    @property
    def began_s(self) -> float:
        """When its warm-up began."""
        return self._began

    def begin(self, now: float) -> Ticket:
        """A request is being sent."""
        if self._leads:
            self.advance(now)
        ticket = Ticket(index=self._index, counted=self.phase is Phase.COUNTING)
        self._index += self._places
        for count, more in (
            (Count.SENT, 1),
            (Count.IN_FLIGHT, 1),
            (Count.COUNTED, ticket.counted),
            (Count.COUNTED_IN_FLIGHT, ticket.counted),
        ):
            self._board.add(self._place, count, more)
        return ticket

    def finish(self, ticket: Ticket, now: float) -> None:
        """The request of ``ticket`` is over, well or not."""
        self._board.add(self._place, Count.FINISHED, 1)
        self._board.add(self._place, Count.IN_FLIGHT, -1)
        self._board.add(self._place, Count.COUNTED_IN_FLIGHT, -ticket.counted)
        if self._leads:
            self.advance(now)

    def advance(self, now: float) -> None:
        """Go on to the phase that the time and the requests so far allow; the leader's alone."""
        passed_s, total = now - self._since, self._board.total
        longest_s = LONGEST_STRETCH * self._duration_s
        # The first answer may hide a cold start, so the warm-up waits for one.
        warm = passed_s >= self._warmup_s and (
            total(Count.FINISHED) > 0 or passed_s >= self._warmup_s + longest_s
        )
        if self.phase is Phase.WARMING and warm:
            self._go_on(Phase.COUNTING)
            self._since, passed_s = now, 0.0
        enough = passed_s >= self._duration_s and total(Count.COUNTED) >= self._least
        if self.phase is Phase.COUNTING and (enough or passed_s >= longest_s):
            self._go_on(Phase.FINISHING)
        if self.phase is Phase.FINISHING and total(Count.COUNTED_IN_FLIGHT) == 0:
            self._go_on(Phase.DONE)

    def _go_on(self, phase: Phase) -> None:
        self._board.go_on(_PHASES.index(phase))
