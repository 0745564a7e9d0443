"""The figures of the page's own tab: what each endpoint's latest answers say. Pure.

They are those of the report by definition, but not by care: no warm-up is cut, no interval is
given, and who shares the machine is not looked for. ``assay loadtest`` is for that.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

# Of each endpoint so many of the latest answers are kept.
KEPT = 5000
# Throughput is that of the last seconds.
WINDOW_S = 10.0
COLUMNS: Mapping[str, str] = {
    "name": "Variant",
    "answers": "Answers",
    "failed": "Failed",
    "ttft_p50": "TTFT p50 (ms)",
    "ttft_p99": "TTFT p99 (ms)",
    "tpot_p50": "TPOT p50 (ms)",
    "tpot_p99": "TPOT p99 (ms)",
    "gap_max": "Longest gap (ms)",
    "tok_per_s": "Output tokens/s",
}
UNTOLD = "-"


@dataclass(frozen=True, kw_only=True)
class LiveAnswer:
    """One good answer: times in seconds, ``end_s`` on the monotonic clock."""

    end_s: float
    ttft_s: float
    tpot_s: float | None
    max_gap_s: float | None
    tokens: int


@dataclass(kw_only=True)
class LiveFigures:
    """The latest answers of one endpoint, and how many there were since the test began."""

    name: str
    answers: int = 0
    failed: int = 0
    latest: deque[LiveAnswer] = field(default_factory=lambda: deque(maxlen=KEPT))

    def take(self, answer: LiveAnswer | None) -> None:
        """Count an answer; None: it failed."""
        if answer is None:
            self.failed += 1
        else:
            self.answers += 1
            self.latest.append(answer)

    def clear(self) -> None:
        """Begin anew."""
        self.answers = self.failed = 0
        self.latest.clear()

    def row(self, now_s: float) -> dict[str, str]:
        """A row of the tab."""
        ttft = [answer.ttft_s for answer in self.latest]
        tpot = [answer.tpot_s for answer in self.latest if answer.tpot_s is not None]
        gaps = [answer.max_gap_s for answer in self.latest if answer.max_gap_s is not None]
        tokens = sum(it.tokens for it in self.latest if now_s - it.end_s <= WINDOW_S)
        return {
            "name": self.name,
            "answers": str(self.answers),
            "failed": str(self.failed),
            "ttft_p50": _ms(ttft, 0.5),
            "ttft_p99": _ms(ttft, 0.99),
            "tpot_p50": _ms(tpot, 0.5),
            "tpot_p99": _ms(tpot, 0.99),
            "gap_max": _ms(gaps, 1.0),
            "tok_per_s": f"{tokens / WINDOW_S:.1f}",
        }


def _ms(seconds: Sequence[float], share: float) -> str:
    if not seconds:
        return UNTOLD
    return f"{1000 * float(np.quantile(seconds, share, method='inverted_cdf')):.1f}"
