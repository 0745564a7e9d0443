"""The section ``load`` of a plan: how every variant is loaded, one class per kind of load.

Another kind is another class and a row in ``LOAD_SECTIONS``; what its load points mean, and how
the client runs them, is in ``loadtest/`` (one file per kind, ``loadtest/load_kinds.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, WrapValidator, field_validator

from deploy.plan_sections import Section, later

DEFAULT_KIND = "closed_loop"
MOST_PROCESSES = 64


class Load(Section):
    """What every kind of load has in common: every variant meets every load point ``rounds`` times.

    Prompts are ``prompt_tokens`` token ids long and unique per request (no prefix-cache gifts);
    outputs are forced to ``output_tokens`` by ``ignore_eos``. A load point lasts ``duration_s``
    after ``warmup_s`` that is not counted.

    In a round the variants take turns. A turn during which other programs used more than
    ``neighbour_limit`` of the processors (0 to 1) is measured once more, and void if they still do.

    With ``stop_early``, ``rounds`` are the most: the load test ends when every variant's throughput
    at the compared load is known to differ from the baseline's, or to be the same within
    ``equal_within`` (0.05: 5 %).

    ``processes`` is of how many the load generator consists; ``auto`` goes by the processors and by
    the events that the load may bring.

    ``points_key`` is the key of the kind's own list of load points.
    """

    points_key: ClassVar[str]

    kind: str
    rounds: int = Field(default=2, ge=1)
    duration_s: float = Field(default=8, gt=0)
    warmup_s: float = Field(default=2, ge=0)
    prompt_tokens: int = Field(default=128, ge=1)
    output_tokens: int = Field(default=64, ge=2)
    seed: int = 0
    neighbour_limit: float = later(0.1, gt=0, le=1)
    stop_early: bool = later(False)
    equal_within: float = later(0.05, gt=0)
    processes: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] | Literal["auto"] = later("auto")

    @property
    def amounts(self) -> Sequence[float]:
        """How much load each load point is, in the kind's own unit."""
        amounts: Sequence[float] = getattr(self, self.points_key)
        return amounts


class ClosedLoopLoad(Load):
    """Users without think time: each sends its next request when its last is answered."""

    points_key = "concurrencies"

    # The kind of a plan that names none, and left out of what is written: it is what every plan
    # meant before there were kinds, and their hashes stay what they were.
    kind: Literal["closed_loop"] = Field(default="closed_loop", exclude=True)
    concurrencies: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 4, 16), min_length=1)

    @field_validator("concurrencies")
    @classmethod
    def _distinct(cls, amounts: tuple[int, ...]) -> tuple[int, ...]:
        return distinct(amounts)


class OpenLoopLoad(Load):
    """Requests that come when they are due, so many a second, whatever became of those before.

    ``kind`` says how: ``constant_rate`` (even gaps), ``poisson`` (independent arrivals) or
    ``bursty`` (gamma gaps of twice that spread).
    """

    points_key = "rates_per_s"

    kind: Literal["constant_rate", "poisson", "bursty"]
    rates_per_s: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)

    @field_validator("rates_per_s")
    @classmethod
    def _distinct(cls, amounts: tuple[float, ...]) -> tuple[float, ...]:
        return distinct(amounts)


def distinct(amounts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a load point that would be measured twice."""
    if len(set(amounts)) != len(amounts):
        raise ValueError("a number stands twice")
    return amounts


LOAD_SECTIONS: dict[str, type[Load]] = {
    DEFAULT_KIND: ClosedLoopLoad,
    **dict.fromkeys(("constant_rate", "poisson", "bursty"), OpenLoopLoad),
}


def load_section(content: object) -> type[Load]:
    """The class of a plan's section ``load``, by its key ``kind``.

    Raises:
        ValueError: there is no such kind.
    """
    kind = content.get("kind", DEFAULT_KIND) if isinstance(content, Mapping) else DEFAULT_KIND
    if kind not in LOAD_SECTIONS:
        raise ValueError(f"{kind!r} is no kind of load (valid: {', '.join(LOAD_SECTIONS)})")
    return LOAD_SECTIONS[kind]


def _read(content: Any, _: Any) -> Load:
    if isinstance(content, Load):
        return content
    return load_section(content).model_validate(content)


AnyLoad = Annotated[SerializeAsAny[Load], WrapValidator(_read)]
