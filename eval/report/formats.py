"""Numbers as a reader wants them: three significant digits, a real minus sign, a unit.

The page never computes with these texts; the exact value travels beside each in ``data-v``.
"""

from collections.abc import Callable

from eval.drawing.numbers import minus as minus
from eval.drawing.numbers import significant as significant
from eval.drawing.numbers import trimmed as trimmed
from loadtest.intervals import Estimate

NOT_MEASURED = "not measured"
_BINARY = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def seconds(value: float) -> str:
    """A latency: milliseconds below one second."""
    return f"{significant(value * 1000)} ms" if abs(value) < 1 else f"{significant(value)} s"


def duration(value: float) -> str:
    """A wall time: ``1 h 02 min``, ``3 min 05 s`` or ``12.3 s``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(value: float) -> str:
    """Bytes in binary units."""
    for unit, name in _BINARY:
        if value >= unit:
            return f"{significant(value / unit)} {name}"
    return f"{value:.0f} B"


def ratio(value: float) -> str:
    """A ratio to the baseline: ``1.84×``."""
    return f"{value:.2f}×"


def percent(value: float, decimals: int = 1) -> str:
    """A share of one as a percentage."""
    return f"{minus(f'{value * 100:.{decimals}f}')} %"


def score(metric: str, value: float) -> str:
    """A task's score: accuracy as a percentage, log-likelihood in nats per token."""
    return percent(value) if metric == "accuracy" else minus(f"{value:.3f}")


def difference(metric: str, value: float) -> str:
    """A signed difference: percentage points of accuracy, or nats per token."""
    return minus(f"{value * 100:+.1f}" if metric == "accuracy" else f"{value:+.3f}")


def difference_unit(metric: str) -> str:
    """The unit of ``difference``."""
    return "points" if metric == "accuracy" else "nats/token"


def interval(estimate: Estimate, text: Callable[[float], str]) -> str:
    """``[low, high]`` with both bounds written by ``text``, or nothing without an interval."""
    return f"[{', '.join(map(text, estimate.bounds))}]" if estimate.bounds else ""


def p_value(value: float) -> str:
    """A p-value: three decimals, and never zero."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
