"""What the engine itself counts of a tool's run: that all were asked the same, and none a gift."""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.server_meter import read_metrics
from loadtest.server_window import GENERATED, PROMPT, REUSED
from tests.benches.agreement.peers import Ask


@dataclass(frozen=True, kw_only=True)
class Served:
    """Per request that the engine answered: prompt tokens, and how many of them it had cached."""

    requests: float
    prompt_tokens: float
    reused_tokens: float

    @property
    def words(self) -> str:
        """In one phrase."""
        return (
            f"{self.requests:.0f} requests of {self.prompt_tokens:.1f} prompt tokens, "
            f"{self.reused_tokens:.1f} of them cached"
        )


def totals(ask: Ask) -> Mapping[str, float]:
    """The engine's counters.

    Raises:
        ValueError: it does not tell them.
    """
    url, _, variant = ask.root.rpartition("/")
    found = read_metrics(url, variant)
    if missing := [name for name in (PROMPT, REUSED, GENERATED) if name not in found]:
        raise ValueError(f"{ask.root}/metrics tells no {missing[0]}")
    return found


def served_between(before: Mapping[str, float], after: Mapping[str, float], ask: Ask) -> Served:
    """What was served between two looks, when all answers had the length that was asked for.

    Raises:
        ValueError: nothing was.
    """
    grown = {name: after[name] - before[name] for name in (PROMPT, REUSED, GENERATED)}
    requests = grown[GENERATED] / ask.output_tokens
    if requests <= 0:
        raise ValueError("the engine has generated nothing")
    return Served(
        requests=requests,
        prompt_tokens=grown[PROMPT] / requests,
        reused_tokens=grown[REUSED] / requests,
    )
