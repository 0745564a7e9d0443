"""When a level warms up, measures and ends, and which requests count. Pure; time is passed in.

A level is one load point in one round. After the warm-up a window opens; every request **sent in
the window counts**, and the load goes on until the last of them is answered, so
each is measured whole and under full load. Counting only what also *finishes* in the window would
favour short requests, and cutting the load at its end would flatter the last ones.

What is in flight at the end of a level belongs to nobody; the next one begins when it is over.
"""

from dataclasses import dataclass
from enum import Enum

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


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Leave to send request ``index`` (from 0) of a level; ``counted`` as in the record."""

    index: int
    counted: bool


class Level:
    """One level; ``now`` is always seconds of the same monotonic clock.

    At ``least`` so many requests are sent in the window, however slow the variant is. Of a schedule
    of arrivals, the first ``skipped`` are left out: other rounds had them.
    """

    def __init__(
        self,
        *,
        point: LoadPoint,
        least: int,
        warmup_s: float,
        duration_s: float,
        now: float,
        skipped: int = 0,
    ) -> None:
        self.point = point
        self.phase = Phase.WARMING
        self._warmup_s = warmup_s
        self._duration_s = duration_s
        self._least = least
        self._began = self._since = now
        self._turns = self._skipped = skipped
        self._sent = 0
        self._finished = 0
        self._counted = 0
        self._counted_in_flight = 0

    @property
    def began_s(self) -> float:
        """When its warm-up began."""
        return self._began

    def next_due(self) -> float | None:
        """When the user whose turn it is shall send; None: at once. Every call is a turn."""
        due_s = self.point.due_s(self._turns)
        self._turns += 1
        if due_s is None:
            return None
        return self._began + due_s - (self.point.due_s(self._skipped) or 0.0)

    def begin(self, now: float) -> Ticket:
        """A request is being sent."""
        self.advance(now)
        counted = self.phase is Phase.COUNTING
        ticket = Ticket(index=self._sent, counted=counted)
        self._sent += 1
        self._counted += counted
        self._counted_in_flight += counted
        return ticket

    def finish(self, ticket: Ticket, now: float) -> None:
        """The request of ``ticket`` is over, well or not."""
        self._finished += 1
        self._counted_in_flight -= ticket.counted
        self.advance(now)

    def advance(self, now: float) -> None:
        """Go on to the phase that the time and the requests so far allow."""
        passed_s = now - self._since
        longest_s = LONGEST_STRETCH * self._duration_s
        # The first answer may hide a cold start, so the warm-up waits for one.
        warm = passed_s >= self._warmup_s and (
            self._finished > 0 or passed_s >= self._warmup_s + longest_s
        )
        if self.phase is Phase.WARMING and warm:
            self.phase, self._since, passed_s = Phase.COUNTING, now, 0.0
        enough = passed_s >= self._duration_s and self._counted >= self._least
        if self.phase is Phase.COUNTING and (enough or passed_s >= longest_s):
            self.phase = Phase.FINISHING
        if self.phase is Phase.FINISHING and self._counted_in_flight == 0:
            self.phase = Phase.DONE
