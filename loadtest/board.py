"""Where the processes of one load generator see each other's counts: shared numbers, no messages.

One process leads: it writes the phase, every other reads it. Each place (a generator) writes its
own counts alone, so nothing needs a lock: an aligned number of eight bytes is never seen half.
"""

import mmap
from dataclasses import dataclass
from enum import IntEnum

_BYTES = 8


class Count(IntEnum):
    """What every place counts, each since its leg began; the last two go down again."""

    SENT = 0
    FINISHED = 1
    COUNTED = 2
    COUNTED_IN_FLIGHT = 3
    IN_FLIGHT = 4


@dataclass(frozen=True, eq=False)
class Board:
    """The phase as a number, and so many counts per place, in one row of numbers."""

    numbers: "memoryview[int]"

    @classmethod
    def shared(cls, places: int = 1) -> "Board":
        """A board of this process and of all that it forks from now on."""
        return cls(memoryview(mmap.mmap(-1, _size_bytes(places))).cast("q"))

    @property
    def phase(self) -> int:
        """The phase that the leader wrote."""
        return self.numbers[0]

    def go_on(self, phase: int) -> None:
        """Write another phase; the leader's alone."""
        self.numbers[0] = phase

    def add(self, place: int, count: Count, more: int) -> None:
        """Change a count of one's own place."""
        self.numbers[_index(place, count)] += more

    def count(self, place: int, count: Count) -> int:
        """A count of one place."""
        return self.numbers[_index(place, count)]

    def total(self, count: Count) -> int:
        """A count over all places."""
        return sum(self.numbers[1 + count :: len(Count)])

    def clear(self) -> None:
        """Begin anew; nothing may be in flight."""
        for index in range(len(self.numbers)):
            self.numbers[index] = 0


def _index(place: int, count: Count) -> int:
    return 1 + place * len(Count) + count


def _size_bytes(places: int) -> int:
    return _BYTES * (1 + places * len(Count))
