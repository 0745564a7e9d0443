"""The section ``load`` of a plan: how every variant is loaded, one class per kind of load.

Another kind is another class and a row in ``LOAD_SECTIONS``; what its load points mean, and how
the client runs them, is in ``loadtest/`` (one file per kind, ``loadtest/load_kinds.py``). Of the
section a load point knows its amount alone; its ``Asks`` are given the whole (``terms.load``).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, WrapValidator, field_validator, model_validator

from deploy.plan_lengths import AnyLengths, EmpiricalLengths, FixedLengths, Lengths
from deploy.plan_sections import Section, later

DEFAULT_KIND = "closed_loop"
MOST_PROCESSES = 64


class Load(Section):
    """What every kind of load has in common: every variant meets every load point ``rounds`` times.

    Prompts are ``prompt_tokens`` token ids long (a number, or a distribution) and unique per
    request (no prefix-cache gifts). They are cut from ``text``: a file of texts, or what the plan
    calibrates with. ``shared_prefix_tokens`` come before each that are the same for all, or for
    every ``shared_prefixes``-th. Outputs are forced to ``output_tokens`` by ``ignore_eos``; with
    ``natural_length`` they end where the model ends, and ``output_tokens`` are the most; a variant
    whose answers are not as long as the baseline's is then not judged by its speed.

    A load point lasts ``duration_s`` after ``warmup_s`` that is not counted.

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
    prompt_tokens: AnyLengths = FixedLengths(least=128, most=128)
    output_tokens: AnyLengths = FixedLengths(least=64, most=64)
    seed: int = 0
    neighbour_limit: float = later(0.1, gt=0, le=1)
    stop_early: bool = later(False)
    equal_within: float = later(0.05, gt=0)
    processes: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] | Literal["auto"] = later("auto")
    text: str | None = later(None)
    shared_prefix_tokens: int = later(0, ge=0)
    shared_prefixes: int = later(1, ge=1)
    natural_length: bool = later(False)

    @field_validator("output_tokens")
    @classmethod
    def _time_per_token(cls, lengths: Lengths) -> Lengths:
        """Of a single token there is no time per token."""
        if lengths.least < 2 or (isinstance(lengths, EmpiricalLengths) and lengths.of_texts):
            raise ValueError("at least 2 tokens, and not those of the texts")
        return lengths

    @property
    def whole_texts(self) -> bool:
        """Whether prompts are whole texts, of their own lengths."""
        return isinstance(self.prompt_tokens, EmpiricalLengths) and self.prompt_tokens.of_texts

    @property
    def longest_request(self) -> int:
        """The most tokens of a request, its prompt and its answer together."""
        prompt = self.shared_prefix_tokens + self.prompt_tokens.most
        return prompt + self.output_tokens.most

    @property
    def longest_words(self) -> str:
        """What ``longest_request`` is the sum of, in the keys of the plan."""
        shared = "shared_prefix_tokens + " if self.shared_prefix_tokens else ""
        return f"{shared}prompt_tokens + output_tokens"

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


class RampLoad(Load):
    """Requests that come ever faster: the rate rises over the window to that of the load point.

    It begins at a tenth of that, which is also the rate of the warm-up.
    """

    points_key = "to_rates_per_s"

    kind: Literal["ramp"]
    to_rates_per_s: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)

    @field_validator("to_rates_per_s")
    @classmethod
    def _distinct(cls, amounts: tuple[float, ...]) -> tuple[float, ...]:
        return distinct(amounts)


class SweepLoad(Load):
    """A closed loop of 1, 2, 4 … streams, until more streams bring no more tokens per second.

    It goes no further than ``most_streams``.
    """

    points_key = "most_streams"

    kind: Literal["sweep"]
    most_streams: int = Field(default=64, ge=4)

    @property
    def amounts(self) -> Sequence[float]:
        """Every number of streams that may come."""
        return [2**power for power in range(self.most_streams.bit_length())]


class ContaminationLoad(Load):
    """A closed loop in which a share of the requests is very long, as runaway requests are.

    Of the ``long_share`` a prompt has ``long_prompt_tokens`` and an answer ``long_output_tokens``.
    What is told is what the others suffer.
    """

    points_key = "concurrencies"

    kind: Literal["contamination"]
    concurrencies: tuple[Annotated[int, Field(ge=2)], ...] = Field(min_length=1)
    long_share: float = Field(default=0.05, gt=0, le=0.5)
    long_prompt_tokens: AnyLengths
    long_output_tokens: AnyLengths

    @field_validator("concurrencies")
    @classmethod
    def _distinct(cls, amounts: tuple[int, ...]) -> tuple[int, ...]:
        return distinct(amounts)

    @property
    def longest_request(self) -> int:
        """Of the short requests and the long ones."""
        long = self.long_prompt_tokens.most + self.long_output_tokens.most
        return max(super().longest_request, long)

    @property
    def longest_words(self) -> str:
        """What it is the sum of."""
        return "long_prompt_tokens + long_output_tokens"


class SessionLoad(Load):
    """Users in sessions of ``turns``: every prompt is the whole talk so far and what is new in it.

    What is new has ``prompt_tokens``, and the answers of before stand there as the model gave them.
    Before a turn the user thinks ``think_s`` on average (exponentially distributed). All begin with
    their first turn, so a window is the same all over only after a warm-up of a session's length.
    """

    points_key = "sessions"

    sessions: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    turns: int = Field(ge=2)
    think_s: float = Field(ge=0)

    @field_validator("sessions")
    @classmethod
    def _distinct(cls, amounts: tuple[int, ...]) -> tuple[int, ...]:
        return distinct(amounts)

    @property
    def longest_request(self) -> int:
        """The last turn with its answer."""
        turn = self.prompt_tokens.most + self.output_tokens.most
        return self.shared_prefix_tokens + self.turns * turn

    @property
    def longest_words(self) -> str:
        """What it is the sum of."""
        shared = "shared_prefix_tokens + " if self.shared_prefix_tokens else ""
        return f"{shared}turns x (prompt_tokens + output_tokens)"


class ChatLoad(SessionLoad):
    """People who read an answer and type the next question; nothing is shared between them."""

    kind: Literal["chat"]
    turns: int = Field(default=5, ge=2)
    think_s: float = Field(default=2, ge=0)


class AgentLoad(SessionLoad):
    """Agents that call tools: one long prefix for all, long results of tools, short answers."""

    kind: Literal["agent"]
    turns: int = Field(default=8, ge=2)
    think_s: float = Field(default=0.2, ge=0)
    shared_prefix_tokens: int = Field(default=512, ge=0)
    output_tokens: AnyLengths = FixedLengths(least=32, most=32)


class TraceLoad(Load):
    """The requests of a recorded ``trace``, at so many times its speed (``speeds``).

    Lengths are those of the trace times ``length_scale``. Prompts share what the trace says that
    they shared, in blocks of ``block_tokens``. A trace that is shorter than the window is repeated
    with other prompts.
    """

    points_key = "speeds"

    kind: Literal["trace"]
    trace: str
    speeds: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1,), min_length=1)
    length_scale: float = Field(default=1, gt=0)
    block_tokens: int = Field(default=512, ge=1)

    @field_validator("speeds")
    @classmethod
    def _distinct(cls, amounts: tuple[float, ...]) -> tuple[float, ...]:
        return distinct(amounts)

    @model_validator(mode="after")
    def _lengths_of_the_trace(self) -> "TraceLoad":
        for name in ("prompt_tokens", "output_tokens", "shared_prefix_tokens"):
            if getattr(self, name) != Load.model_fields[name].default:
                raise ValueError(f"{name}: lengths are those of the trace, times length_scale")
        return self

    @property
    def longest_request(self) -> int:
        """What the trace needs is known when it is read."""
        return 0


def distinct(amounts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a load point that would be measured twice."""
    if len(set(amounts)) != len(amounts):
        raise ValueError("a number stands twice")
    return amounts


LOAD_SECTIONS: dict[str, type[Load]] = {
    DEFAULT_KIND: ClosedLoopLoad,
    **dict.fromkeys(("constant_rate", "poisson", "bursty"), OpenLoopLoad),
    "ramp": RampLoad,
    "sweep": SweepLoad,
    "contamination": ContaminationLoad,
    "chat": ChatLoad,
    "agent": AgentLoad,
    "trace": TraceLoad,
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
