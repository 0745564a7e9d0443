"""What paired answers prove of a loss, however often one looks and whenever one stops.

An interval for a fixed number of items is wrong once somebody looks after every block of them and
stops when he likes what he sees. What is formed here holds at all times at once: a wealth that
nobody can expect to grow while the hypothesis is true, so that it ever exceeds 1 / a with a
probability of at most a (Ville). It depends on counts and sums alone, hence not on how the blocks
were cut, and what is on a disk tells all of it. Pure functions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict
from scipy import optimize, special

from loadtest.anytime import MIXTURE
from loadtest.intervals import Estimate
from loadtest.stats import LEAST_UNITS

# The bets are spread evenly over all sizes that cannot ruin: (j + 1/2) / BETS.
BETS = 32
_SIZES = (np.arange(BETS) + 0.5) / BETS
_EDGE = 1 - 1e-9


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many of so many answers turned wrong, and how many turned right."""

    lost: int
    gained: int
    items: int

    @property
    def turned(self) -> "Tally":
        """The same seen from the other side."""
        return Tally(lost=self.gained, gained=self.lost, items=self.items)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over so many items: their losses, their weights, and the products of both."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    items: int
    loss: float
    weight: float
    loss_squared: float
    loss_weight: float
    weight_squared: float

    @property
    def turned(self) -> "Sums":
        """The same seen from the other side."""
        return replace(self, loss=-self.loss, loss_weight=-self.loss_weight)


def sums_of(losses: npt.ArrayLike, weights: npt.ArrayLike) -> Sums:
    """The sums of losses (nats, or fractions of an answer) and of what they are divided by."""
    x, w = np.asarray(losses, float), np.asarray(weights, float)
    return Sums(
        items=len(x),
        loss=float(x.sum()),
        weight=float(w.sum()),
        loss_squared=float(x @ x),
        loss_weight=float(x @ w),
        weight_squared=float(w @ w),
    )


def evidence_within(found: Tally, margin: float) -> float:
    """The logarithm of the evidence against "the loss per item is ``margin`` or more".

    Item i loses d_i of -1, 0, 1. A bet of the share c pays 1 + c (margin - d_i) / (1 - margin),
    whose mean is at most 1 where the hypothesis holds (Waudby-Smith and Ramdas, Journal of the
    Royal Statistical Society B 86, 2024, section 4); the wealth is the mean over all sizes c, so it
    need not be known how many answers flip. Exact for any number of items, without a normal
    distribution. It rises with the margin.
    """
    m = max(-_EDGE, min(margin, _EDGE))
    same = found.items - found.lost - found.gained
    with np.errstate(divide="ignore"):
        logs = (
            found.lost * np.log1p(-_SIZES)
            + found.gained * np.log1p(_SIZES * (1 + m) / (1 - m))
            + same * np.log1p(_SIZES * m / (1 - m))
        )
    return float(special.logsumexp(logs)) - math.log(BETS)


def loss_of_answers(found: Tally, confidence: float) -> Estimate:
    """The loss per item, and the losses that are refuted to neither side.

    Each side alone leaves out half of what ``confidence`` does.
    """
    wanted = math.log(2 / (1 - confidence))
    value = (found.lost - found.gained) / found.items
    high = _least_refuted(lambda m: evidence_within(found, m) - wanted)
    low = -_least_refuted(lambda m: evidence_within(found.turned, m) - wanted)
    return Estimate(value=value, low=low, high=high)


def share_of_right(right: int, items: int, confidence: float) -> Estimate:
    """The share of items that are answered right, as a gain of 1 and a loss of 1 are averaged."""
    found = loss_of_answers(Tally(lost=items - right, gained=right, items=items), confidence)
    assert found.low is not None
    assert found.high is not None
    low, high = (1 - found.high) / 2, (1 - found.low) / 2
    return Estimate(value=right / items, low=low, high=high)


def _least_refuted(excess: Callable[[float], float]) -> float:
    """The least margin at which the evidence suffices; 1 where it does nowhere."""
    if excess(_EDGE) <= 0:
        return 1.0
    return float(optimize.brentq(excess, -1.0, _EDGE, xtol=1e-7)) if excess(-1.0) < 0 else -1.0


def ratio_evidence_within(found: Sums, margin: float) -> float:
    """The logarithm of the evidence against "the loss per unit of weight is ``margin`` or more".

    That of ``loadtest.anytime.log_evidence`` over the items' losses less the margin times their
    weights, where these sum to less than nothing; it supposes that they are roughly normal.
    """
    count, total, square = found.items, _rest(found, margin), _squares(found, margin)
    if total >= 0 or square <= 0:
        return 0.0
    share = 1 - total**2 / ((count + MIXTURE) * square)
    return 0.5 * math.log(MIXTURE / (count + MIXTURE)) - count / 2 * math.log(share)


def _rest(found: Sums, margin: float) -> float:
    return found.loss - margin * found.weight


def _squares(found: Sums, margin: float) -> float:
    crossed = 2 * margin * found.loss_weight
    return found.loss_squared - crossed + margin**2 * found.weight_squared


def loss_per_weight(found: Sums, confidence: float) -> Estimate:
    """The losses' sum over the weights', and the ratios that are refuted to neither side.

    No bounds with fewer than ``LEAST_UNITS`` items. With k = (1 - (a^2 q / (n + q))^(1/n)) (n + q),
    a the half of what ``confidence`` leaves out and q the mixture, a ratio m is refuted where the
    square of the sum of what is left exceeds k times the sum of its squares: a quadratic
    inequality in m (as Fieller's, Journal of the Royal Statistical Society B 16, 1954).
    """
    count, value = found.items, found.loss / found.weight
    if count < LEAST_UNITS:
        return Estimate(value=value)
    grown = count + MIXTURE
    alpha = (1 - confidence) / 2
    k = (1 - (alpha**2 * MIXTURE / grown) ** (1 / count)) * grown
    a = found.weight**2 - k * found.weight_squared
    b = found.loss * found.weight - k * found.loss_weight
    c = found.loss**2 - k * found.loss_squared
    inner = b * b - a * c
    if a <= 0 or inner < 0:
        # No value is refuted, or (by rounding, where all losses are alike) all but one.
        return Estimate(value=value) if a <= 0 else Estimate(value=value, low=value, high=value)
    reach = math.sqrt(inner)
    return Estimate(value=value, low=(b - reach) / a, high=(b + reach) / a)


def p_value(log_evidence: float) -> float:
    """What may be claimed of a hypothesis whenever one stops: the evidence's inverse, at most 1."""
    return min(1.0, math.exp(-log_evidence))


def changed_at_all(found: Tally) -> float:
    """The p-value of "as many answers turn right as wrong", to both sides."""
    return changed_by_more(found, 0.0)


def changed_by_more(found: Tally | Sums, allowed: float) -> float:
    """The p-value of "the loss is no farther from 0 than ``allowed``", to both sides.

    Per item of answers that are right or wrong, else per unit of weight.
    """
    evidence = max(_evidence_within(side, -allowed) for side in (found, found.turned))
    return min(1.0, 2 * p_value(evidence))


def _evidence_within(found: Tally | Sums, margin: float) -> float:
    if isinstance(found, Tally):
        return evidence_within(found, margin)
    return ratio_evidence_within(found, margin)


def reach(error: float) -> float:
    """How many standard errors off a bound of that one-sided error lies, about.

    The wealth of the best bet is exp(z^2 / 2); spreading it over all sizes costs about e.
    """
    return math.sqrt(2 * (1 - math.log(error)))
