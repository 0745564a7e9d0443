"""How many tokens prompts and answers have: a number, or a distribution, one class per kind.

In a plan ``prompt_tokens: 128``, or ``prompt_tokens: {distribution: lognormal, mean: 200,
deviation: 150, least: 16, most: 1000}``. A length is read off a distribution by a share (0 to 1),
so whoever draws shares reproducibly draws lengths reproducibly. Pure, and without scipy: the load
generator reads lengths while it loads.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from statistics import NormalDist
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, WrapValidator, model_validator

from deploy.plan_sections import Section

# An average is read off so many shares.
_SHARES = 1000
_EDGE = 1e-12


class Lengths(Section, ABC):
    """A distribution of numbers of tokens, none below ``least`` or above ``most``."""

    distribution: str
    least: int = Field(ge=1)
    most: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> "Lengths":
        if self.least > self.most:
            raise ValueError(f"least = {self.least} is more than most = {self.most}")
        return self

    @abstractmethod
    def at(self, share: float) -> int:
        """The length that this share of all lengths does not exceed: the inverse distribution."""

    @property
    def average(self) -> float:
        """The mean length."""
        return _average(self)

    @property
    def words(self) -> str:
        """In a sentence: "16 to 1000 (lognormal, 188 on average)"."""
        return f"{self.least} to {self.most} ({self.distribution}, {self.average:.0f} on average)"


class FixedLengths(Lengths):
    """One length; a plan writes it as a number."""

    distribution: Literal["fixed"] = "fixed"

    def at(self, share: float) -> int:
        """The length."""
        return self.most

    @property
    def words(self) -> str:
        """The number."""
        return str(self.most)


class UniformLengths(Lengths):
    """Every length from ``least`` to ``most`` equally often."""

    distribution: Literal["uniform"]

    def at(self, share: float) -> int:
        """Evenly over the range, both ends among it."""
        return min(self.most, self.least + int(share * (self.most - self.least + 1)))


class _Curve(Lengths):
    """A mean and a standard deviation in tokens; both ends are cut off."""

    mean: float = Field(gt=0)
    deviation: float = Field(gt=0)

    def _kept(self, value: float) -> int:
        return min(self.most, max(self.least, round(value)))


class NormalLengths(_Curve):
    """A normal distribution between the ends."""

    distribution: Literal["normal"]

    def at(self, share: float) -> int:
        """Of the normal distribution between the ends."""
        curve = NormalDist(self.mean, self.deviation)
        return self._kept(_between(curve, share, self.least - 0.5, self.most + 0.5))


class LognormalLengths(_Curve):
    """A distribution between the ends whose logarithms are normal.

    They have the variance ln(1 + deviation² / mean²) and the mean ln(mean) less half of it.
    """

    distribution: Literal["lognormal"]

    def at(self, share: float) -> int:
        """Of the lognormal distribution between the ends."""
        variance = math.log1p((self.deviation / self.mean) ** 2)
        curve = NormalDist(math.log(self.mean) - variance / 2, math.sqrt(variance))
        ends = math.log(self.least - 0.5), math.log(self.most + 0.5)
        return self._kept(math.exp(_between(curve, share, *ends)))


class EmpiricalLengths(Lengths):
    """The lengths that were given, each as often as it stands among ``values``.

    Without ``values`` they are those of the texts that prompts are taken from, each text whole
    where it has no more than ``most`` tokens.
    """

    distribution: Literal["empirical"]
    values: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _ends(cls, content: Any) -> Any:
        given = content.get("values") if isinstance(content, Mapping) else None
        known = [it for it in given or () if isinstance(it, int)]
        ends = {"least": min(known), "most": max(known)} if known else {"least": 1}
        return {**ends, **content}

    @property
    def of_texts(self) -> bool:
        """Whether the texts themselves decide."""
        return not self.values

    def at(self, share: float) -> int:
        """The value in that place of all in order; ``most`` where the texts decide."""
        if self.of_texts:
            return self.most
        place = min(len(self.values) - 1, int(share * len(self.values)))
        return min(self.most, max(self.least, sorted(self.values)[place]))

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"up to {self.most} (those of the texts)" if self.of_texts else super().words


DISTRIBUTIONS: dict[str, type[Lengths]] = {
    "fixed": FixedLengths,
    "uniform": UniformLengths,
    "normal": NormalLengths,
    "lognormal": LognormalLengths,
    "empirical": EmpiricalLengths,
}


def _between(curve: NormalDist, share: float, low: float, high: float) -> float:
    """The value of that share of a normal distribution that is cut off at both ends."""
    first, last = curve.cdf(low), curve.cdf(high)
    return curve.inv_cdf(min(1 - _EDGE, max(_EDGE, first + share * (last - first))))


@cache
def _average(lengths: Lengths) -> float:
    return sum(lengths.at((place + 0.5) / _SHARES) for place in range(_SHARES)) / _SHARES


def lengths_of(content: object) -> Lengths:
    """What a plan says of lengths: a number, or a mapping with its ``distribution``.

    Raises:
        ValueError: there is no such distribution.
    """
    if isinstance(content, Lengths):
        return content
    if isinstance(content, int) and not isinstance(content, bool) and content >= 1:
        return FixedLengths(least=content, most=content)
    name = content.get("distribution") if isinstance(content, Mapping) else None
    if name not in DISTRIBUTIONS:
        raise ValueError(
            f"{content!r} is no number of tokens from 1 on, and no mapping with a distribution "
            f"({', '.join(DISTRIBUTIONS)})"
        )
    return DISTRIBUTIONS[name].model_validate(content)


def _plain(lengths: Lengths) -> Any:
    return lengths.most if isinstance(lengths, FixedLengths) else lengths.model_dump(mode="json")


AnyLengths = Annotated[
    Lengths, WrapValidator(lambda content, _: lengths_of(content)), PlainSerializer(_plain)
]
