"""Contamination: a few very long requests among short ones, and what the short ones suffer."""

from deploy.plan_load import ContaminationLoad
from loadtest.asks import Ask, Asks, Turn
from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint


class ContaminationAsks(Asks):
    """Every so many requests a very long one, the same for every variant."""

    def ask(self, turn: Turn) -> Ask:
        """A short request, or a long one: these are evenly spread over all."""
        load, place = self.terms.load, turn.place
        assert isinstance(load, ContaminationLoad)
        if int((place + 1) * load.long_share) == int(place * load.long_share):
            return self.plain(place)
        number = self.terms.number(place)
        length = self.length_of(load.long_prompt_tokens, "long prompt", number)
        return Ask(
            prompt=self.terms.prompts.prompt(number, length),
            output_tokens=self.length_of(load.long_output_tokens, "long answer", number),
            exact=not load.natural_length,
            intruder=True,
            number=number,
        )


class Contaminated(ClosedLoop):
    """``amount`` users, some of whose requests are very long; latencies are the others'."""

    kind = "contamination"
    asks = ContaminationAsks
    decides = False
    limit_words = (
        "Some requests are very long on purpose, and latencies are those of the others: it shows "
        "what they suffer, not what the endpoint gives by itself."
    )

    @property
    def label(self) -> str:
        """As a sentence says it."""
        return f"{self.number} streams with runaway requests"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"{self.number} at once, some very long"

    @property
    def sequences(self) -> int | None:
        """Nobody knows how many are long at the moment."""
        return None

    @property
    def certified_as(self) -> LoadPoint:
        """The client has as many streams."""
        return ClosedLoop(self.amount)

    def part_of(self, passed: float, turn: int | None, *, intruder: bool) -> str:
        """The two kinds of requests."""
        return "long requests" if intruder else "the others"
