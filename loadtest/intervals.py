"""The one interval type: a measured value, and between which bounds it is known."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its two-sided confidence interval; None bounds where none can be given."""

    # Part of result files, which refuse unknown keys. A latency may be infinite: "Infinity".
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", ser_json_inf_nan="strings"
    )

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Both bounds; None where none can be given."""
        if self.low is None or self.high is None:
            return None
        return self.low, self.high

    @property
    def known(self) -> list[float]:
        """The value between its bounds, as far as they are known, ascending."""
        return [end for end in (self.low, self.value, self.high) if end is not None]

    def covers(self, value: float) -> bool:
        """Whether a value lies within the bounds; never without bounds."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    def __neg__(self) -> "Estimate":
        """The same seen from the other side: a gain as a loss."""
        if self.low is None or self.high is None:
            return Estimate(value=-self.value)
        return Estimate(value=-self.value, low=-self.high, high=-self.low)
