"""Closed loop: so many users without think time; each sends when its last request is answered."""

from collections.abc import Sequence

from loadtest.load_point import LoadPoint


class ClosedLoop(LoadPoint):
    """``amount`` users; a user is a stream of requests without a gap."""

    kind = "closed_loop"
    noun = "concurrency"
    axis = "concurrent requests"
    rate_words = (
        "over the time that the streams spent on them, times the number of streams. In the long "
        "run this equals tokens / (last response − first send), but it does not lose the requests "
        "cut by the edges of a short window."
    )
    limit_words = (
        "The load is a closed loop: a new request is sent when an old one ends. It shows what a "
        "fixed number of users gets, not what a rush of arrivals would wait."
    )

    @property
    def label(self) -> str:
        """As a sentence of the verdict says it."""
        return f"{self.number} streams"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"{self.number} at once"

    @property
    def full(self) -> str:
        """In full, for one request too."""
        return "1 concurrent request" if self.amount == 1 else super().full

    @property
    def users(self) -> int:
        """One per stream."""
        return int(self.amount)

    @property
    def sequences(self) -> int | None:
        """One per stream."""
        return self.users

    @property
    def block(self) -> int:
        """One request per user: the users of a batching engine soon move in step."""
        return self.users

    def seconds(self, cycles_s: Sequence[float]) -> float:
        """Cycles of one user tile its time, and the users share the wall time: Little's law."""
        return sum(cycles_s) / self.users
