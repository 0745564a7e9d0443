"""Who is next: sequences wait in the order of their requests, and requests take turns."""

from collections import deque
from collections.abc import Iterator

from services.server.sequence import Sequence


class WaitingLine:
    """Sequences without a slot, grouped by the request that they belong to.

    A request of a hundred sequences holds up one that came after it by one sequence, not by a
    hundred: each request gives one and goes to the end of the line.
    """

    def __init__(self) -> None:
        self._requests: deque[deque[Sequence]] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Sequence]:
        return (sequence for request in self._requests for sequence in request)

    def add(self, sequences: list[Sequence]) -> None:
        """Take in the sequences of one request."""
        self._requests.append(deque(sequences))
        self._length += len(sequences)

    def take(self) -> Sequence:
        """The next sequence; the line must not be empty."""
        request = self._requests.popleft()
        sequence = request.popleft()
        if request:
            self._requests.append(request)
        self._length -= 1
        return sequence

    def drop_cancelled(self) -> None:
        """Forget the sequences whose clients have gone."""
        if self._requests and any(sequence.cancelled for sequence in self):
            kept = (deque(s for s in request if not s.cancelled) for request in self._requests)
            self._requests = deque(request for request in kept if request)
            self._length = sum(map(len, self._requests))
