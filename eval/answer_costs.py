"""What an answer costs under load: the machine's time, its price, its energy. Pure functions."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from eval.drawing.numbers import significant
from eval.schema import LoadComparison
from loadtest.load_file import LoadFigures

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class AnswerCost:
    """A thousand answers at one load.

    ``tokens`` is the mean length of one, ``machine_s`` the wall time in which the endpoint gives a
    thousand (all streams together), ``price`` that time at the plan's price per hour, ``joules``
    the energy of its GPUs. None where there is no price, or no GPU was watched.
    """

    tokens: float
    machine_s: float
    price: float | None
    joules: float | None


def answer_cost(level: LoadFigures, price_per_hour: float | None) -> AnswerCost | None:
    """What a thousand answers cost, of the length that they have at this load.

    None where none came, or their rate was not kept.
    """
    rate = level.request_per_s
    if rate is None or rate.value <= 0:
        return None
    tokens, machine_s = level.output_tok_per_s.value / rate.value, 1000 / rate.value
    energy = None if level.gpu is None else level.gpu.joules_per_output_token
    return AnswerCost(
        tokens=tokens,
        machine_s=machine_s,
        price=None if price_per_hour is None else price_per_hour * machine_s / HOUR_S,
        joules=None if energy is None else 1000 * tokens * energy.value,
    )


def cost_words(
    mine: LoadComparison, baseline: LoadComparison | None, price_per_hour: float | None, name: str
) -> str:
    """What a thousand answers cost, in a sentence; ``name`` is the baseline's, "" of itself.

    Empty where the rate of answers is not known.
    """
    found = answer_cost(mine, price_per_hour)
    theirs = answer_cost(baseline, price_per_hour) if baseline is not None and name else None
    if found is None:
        return ""
    write = _duration(max(found.machine_s, theirs.machine_s if theirs else 0.0))
    said = f"A thousand answers of {found.tokens:.0f} tokens at {mine.point.label} take "
    if found.price is not None:
        against = (
            ""
            if theirs is None or theirs.price is None
            else (f" ({name}: {write(theirs.machine_s)} and {significant(theirs.price)})")
        )
        return f"{said}{write(found.machine_s)} and cost {significant(found.price)}{against}."
    against = "" if theirs is None else f" ({name}: {write(theirs.machine_s)})"
    return (
        f"{said}{write(found.machine_s)} of this machine{against}; objectives.price_per_hour "
        "would say what that costs."
    )


def _duration(longest_s: float) -> Callable[[float], str]:
    """How to write times beside each other: in the unit that fits the longest."""
    units = ((2 * 60.0, 1.0, "s"), (2 * HOUR_S, 60.0, "min"), (math.inf, HOUR_S, "h"))
    size, unit = next((size, unit) for limit, size, unit in units if longest_s < limit)
    return lambda seconds: f"{significant(seconds / size)} {unit}"
