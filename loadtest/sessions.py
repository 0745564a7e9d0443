"""Sessions: users that talk in several turns, think in between, and send the whole talk each time.

What a turn adds is text of its own; what the model answered stands in the next prompt as it was
given, in the ids that the model's own tokenizer makes of its text (a client gets text, and sends
it back). So a prompt grows by two parts each turn, and begins with all of the one before.
"""

import heapq
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from deploy.plan_load import Load, SessionLoad
from loadtest.asks import Ask, Asks, Terms, Turn, drawn_share
from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.prompts import Arrays

# Sessions have prompts of their own: so many turns may lie between the numbers of two.
TURNS_APART = 1000
_NAME = "tokenizer"


@dataclass(order=True)
class Session:
    """A talk in which it is a user's turn from ``due_s`` on (s), free since ``since_s``."""

    due_s: float
    number: int
    since_s: float = field(compare=False)
    turn: int = field(default=0, compare=False)
    said: list[int] = field(default_factory=list, compare=False)
    asked: Ask | None = field(default=None, compare=False)


class SessionAsks(Asks):
    """As many sessions as users; where one has had its turns, another begins."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        assert isinstance(terms.load, SessionLoad)
        self._load = terms.load
        self._waiting: list[Session] = []
        self._taken: dict[int, Session] = {}
        self._begun = terms.place
        self._tokenizer = Tokenizer.from_str(terms.prompts.beside[_NAME].tobytes().decode())

    @property
    def wants_answers(self) -> bool:
        """They stand in the next prompt."""
        return True

    def take(self, began_s: float, free_since_s: float) -> Turn:
        """The turn of the session that waits least; first ones begin spread over a think time.

        As each user has one turn at a time, there are as many sessions as users.
        """
        if not self._waiting:
            delay_s = self._load.think_s * self._begun / self.terms.users
            self._begin(began_s + delay_s, began_s)
        session = heapq.heappop(self._waiting)
        place = self._next
        self._next += self.terms.places
        self._taken[place] = session
        return Turn(place=place, due_s=session.due_s, since_s=session.since_s)

    def _begin(self, due_s: float, since_s: float) -> None:
        heapq.heappush(self._waiting, Session(due_s, self._begun, since_s))
        self._begun += self.terms.places

    def ask(self, turn: Turn) -> Ask:
        """The whole talk so far, and what the user adds."""
        session, load, prompts = self._taken[turn.place], self._load, self.terms.prompts
        number = self.terms.number(session.number * TURNS_APART + session.turn)
        added = self.length_of(load.prompt_tokens, "prompt", number)
        if not session.turn:
            said = prompts.prompt(
                number,
                added,
                prefix_tokens=load.shared_prefix_tokens,
                prefix=session.number % load.shared_prefixes,
            )
        else:
            said = [*session.said, *prompts.prompt(number, added + 1)[1:]]
        session.asked = Ask(
            prompt=said,
            output_tokens=self.length_of(load.output_tokens, "answer", number),
            exact=not load.natural_length,
            number=number,
            session=session.number,
            turn=session.turn,
        )
        return session.asked

    def answered(self, turn: Turn, text: str | None, now: float) -> None:
        """Go on with the session, or begin another: after its last turn, or where it failed."""
        session = self._taken.pop(turn.place)
        think_s = self._think_s(session)
        if text is None or session.turn + 1 == self._load.turns:
            return self._begin(now + think_s, now)
        assert session.asked is not None
        session.said = [*session.asked.prompt, *self._ids(text, session.asked.output_tokens)]
        session.turn, session.due_s, session.since_s = session.turn + 1, now + think_s, now
        heapq.heappush(self._waiting, session)
        return None

    def _think_s(self, session: Session) -> float:
        """Exponentially distributed, the same for every variant."""
        number = self.terms.number(session.number * TURNS_APART + session.turn)
        share = drawn_share(self._load.seed, "think", number)
        return -self._load.think_s * math.log1p(-share)

    def _ids(self, text: str, most: int) -> list[int]:
        """An answer as ids, no more than it had when it was given."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids[:most]


class Chat(ClosedLoop):
    """``amount`` sessions at once, of people who read and type between their turns."""

    kind = "chat"
    noun = "sessions"
    axis = "sessions at once"
    asks = SessionAsks
    rate_words = "over the time that the sessions took, thinking among it, times their number."
    limit_words = (
        "The load is sessions that think between their turns: it shows what so many users get "
        "whose prompts grow, and depends on what the engine keeps of a talk between two turns."
    )

    @property
    def label(self) -> str:
        """As a sentence of the verdict says it."""
        return f"{self.number} {self.kind} sessions"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"{self.number} sessions"

    @property
    def full(self) -> str:
        """In full."""
        return f"{self.number} {self.kind} {'session' if self.amount == 1 else 'sessions'} at once"

    @property
    def sequences(self) -> int | None:
        """Nobody knows how many think at the moment."""
        return None

    @classmethod
    def beside(cls, load: Load, tokenizer: Path, context_length: int) -> Arrays:
        """The tokenizer, for the answers."""
        return {_NAME: np.frombuffer((tokenizer / "tokenizer.json").read_bytes(), np.uint8)}

    @property
    def certified_as(self) -> LoadPoint:
        """The client has as many streams at most."""
        return ClosedLoop(self.amount)

    def part_of(self, passed: float, turn: int | None, *, intruder: bool) -> str:
        """Which turn of its session it is."""
        return f"turn {(turn or 0) + 1}"


class Agent(Chat):
    """``amount`` sessions at once, of agents whose tools answer between their turns."""

    kind = "agent"
