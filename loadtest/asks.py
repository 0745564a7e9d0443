"""What the requests of a leg ask for, and when they are due.

A kind of load whose requests are more than alike (sessions, a trace, …) has a class of its own in
its file, derived from ``Asks``; its load point names it. Everything here is decided by numbers that
every variant shares, so all are asked the same.
"""

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from deploy.plan_lengths import EmpiricalLengths, Lengths
from deploy.plan_load import Load
from loadtest.prompts import PromptSource

# Rounds have arrivals of their own, the same for every variant.
ARRIVALS_APART = 10_000
# Digits of a prompt's hash in its record.
HASH_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one request asks: a prompt, and ``output_tokens`` of an answer.

    ``exact``: exactly so many, by ``ignore_eos``; else as many at most. ``intruder``: it is there
    to disturb the others, and its latencies are none of theirs. ``number`` is that of its prompt;
    ``session`` and ``turn`` count from 0.
    """

    prompt: Sequence[int]
    output_tokens: int
    exact: bool = True
    intruder: bool = False
    number: int = 0
    session: int | None = None
    turn: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the prompt has."""
        return len(self.prompt)

    def packed(self) -> "Ask":
        """The same in an eighth of the memory, for as long as its answer is kept."""
        return replace(self, prompt=array("i", self.prompt))

    def prompt_hash(self) -> str:
        """The beginning of the SHA-256 of the prompt's ids, 32 bits each."""
        return hashlib.sha256(array("i", self.prompt).tobytes()).hexdigest()[:HASH_DIGITS]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A user's leave to send: when (s, None: at once), and since when its cycle counts.

    ``place`` is which of the load's turns it is.
    """

    place: int
    due_s: float | None
    since_s: float


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the asks of one leg are made of.

    ``number`` gives the number of the prompt of a request, ``due_s`` when a request arrives after
    the level's begin; ``users`` and ``amount`` are the load point's, ``round`` counts from 0. Of
    ``places`` generators that share the leg, the one in this ``place`` takes every so many-th turn.
    """

    load: Load
    prompts: PromptSource
    number: Callable[[int], int]
    due_s: Callable[[int], float | None] = lambda _: None
    users: int = 1
    amount: float = 1
    round: int = 0
    place: int = 0
    places: int = 1


class Asks:
    """Requests that are alike but for their lengths: each has a prompt of its own."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._next = terms.place

    @property
    def first_arrival(self) -> int:
        """How many arrivals of the schedule are left out, as other rounds have them."""
        return self.terms.round * ARRIVALS_APART

    def due_s(self, index: int) -> float | None:
        """When request ``index`` of the schedule arrives (s); None: as soon as a user is free."""
        return self.terms.due_s(index)

    def take(self, began_s: float, free_since_s: float) -> Turn:
        """The next turn, for a user that has been free for a while; times on the caller's clock.

        ``began_s`` is the begin of the level.
        """
        place = self._next
        self._next += self.terms.places
        due_s = self.due_s(self.first_arrival + place)
        if due_s is None:
            return Turn(place=place, due_s=None, since_s=max(free_since_s, began_s))
        due_s += began_s - (self.due_s(self.first_arrival) or 0.0)
        return Turn(place=place, due_s=due_s, since_s=due_s)

    def ask(self, turn: Turn) -> Ask:
        """What the request of a turn asks; made before it is due, as long prompts take a while."""
        return self.plain(turn.place)

    def answered(self, turn: Turn, text: str | None, now: float) -> None:
        """The request of a turn is over; ``text`` is its answer, None where it failed."""

    @property
    def wants_answers(self) -> bool:
        """Whether ``answered`` needs the text, so that an answer is read as soon as it is there."""
        return False

    def plain(self, place: int) -> Ask:
        """An ask for a turn: the prompt of its number, lengths drawn for that, the next prefix."""
        load, number = self.terms.load, self.terms.number(place)
        return Ask(
            prompt=self.terms.prompts.prompt(
                number,
                self.length_of(load.prompt_tokens, "prompt", number),
                prefix_tokens=load.shared_prefix_tokens,
                prefix=place % load.shared_prefixes,
            ),
            output_tokens=self.length_of(load.output_tokens, "answer", number),
            exact=not load.natural_length,
            number=number,
        )

    def length_of(self, lengths: Lengths, what: str, number: int) -> int:
        """The length of prompt or answer ``number``: its text's own, or drawn by its number."""
        if isinstance(lengths, EmpiricalLengths) and lengths.of_texts:
            return min(lengths.most, self.terms.prompts.text_length(number))
        return lengths.at(drawn_share(self.terms.load.seed, what, number))


def drawn_share(seed: int, what: str, number: int) -> float:
    """A number from 0 to 1 that only these three decide, evenly distributed over the numbers."""
    digest = hashlib.blake2b(f"{seed} {what} {number}".encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "big") / 2**64)
