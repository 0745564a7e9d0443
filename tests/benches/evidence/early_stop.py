"""How often a load test that looks after every round ever calls two equal variants different.

The rounds are as a real machine brings them: two variants take turns on one processor whose speed
drifts, is shared with a neighbour that comes and goes, stalls, and favours whoever goes second;
what each leg has of its own has heavy tails, and more of it at times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from loadtest.anytime import confidence_sequence
from loadtest.legs import round_order
from loadtest.stats import Floats

STREAMS, ROUNDS = 1000, 40
LEGS = 2 * ROUNDS
VARIANTS = ("a", "b")
# Standard deviations of logarithms: what a leg has of its own, and how far the machine drifts.
OWN, DRIFT = 0.03, 0.1
# Of what was a leg before, so much is left of the drift, and of the state of the machine.
KEPT, STAYS = 0.9, 0.8
NEIGHBOUR_TAKES, STALLS, STALL_TAKES, SECOND_GAINS = 0.4, 0.05, 0.5, 0.03
LOUD, HEAVY = 5.0, 3

# The logarithms of the speed of each leg, in their order, whichever variant's it is.
Draw = Callable[[Generator], Floats]


def _own(rng: Generator) -> Floats:
    return rng.normal(0, OWN, LEGS)


def _heavy(rng: Generator) -> Floats:
    found: Floats = OWN * rng.standard_t(HEAVY, LEGS)
    return found


def _drifting(rng: Generator) -> Floats:
    """An autoregressive process of the first order."""
    steps = rng.normal(0, DRIFT * np.sqrt(1 - KEPT**2), LEGS)
    found: list[float] = []
    at = float(rng.normal(0, DRIFT))
    for step in steps:
        at = KEPT * at + float(step)
        found.append(at)
    return np.array(found)


def _on_and_off(rng: Generator) -> Floats:
    """1 in legs in which something is there, 0 else; it stays as it is for some legs."""
    changes = rng.random(LEGS) > STAYS
    return ((np.cumsum(changes) + rng.integers(2)) % 2).astype(np.float64)


def _beside_a_neighbour(rng: Generator) -> Floats:
    """It takes a part of the leg in which it comes or goes, too."""
    there = _on_and_off(rng)
    part = np.where(np.diff(there, prepend=there[0]) == 0, there, rng.random(LEGS))
    found: Floats = np.log1p(-NEIGHBOUR_TAKES * part)
    return found


def _stalling(rng: Generator) -> Floats:
    found: Floats = np.log1p(-STALL_TAKES * (rng.random(LEGS) < STALLS))
    return found


def _second_gains(_: Generator) -> Floats:
    return np.tile([0.0, SECOND_GAINS], ROUNDS)


def _loud_at_times(rng: Generator) -> Floats:
    found: Floats = _own(rng) * np.where(_on_and_off(rng) > 0, LOUD, 1.0)
    return found


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the legs of two equal variants are like; all its parts come together."""

    name: str
    parts: tuple[Draw, ...]

    def log_ratios(self, rng: Generator, seed: int) -> Floats:
        """Of each round, in the order that a load test of that seed has."""
        legs = sum((part(rng) for part in self.parts), np.zeros(LEGS)).reshape(ROUNDS, 2)
        orders = [round_order(VARIANTS, seed=seed, number=n) for n in range(ROUNDS)]
        signs = np.array([1.0 if order[0] == VARIANTS[0] else -1.0 for order in orders])
        found: Floats = (legs[:, 0] - legs[:, 1]) * signs
        return found


MACHINES = (
    Machine(name="steady", parts=(_own,)),
    Machine(name="heavy tails", parts=(_heavy,)),
    Machine(name="a drift", parts=(_drifting, _own)),
    Machine(name="a neighbour that comes and goes", parts=(_beside_a_neighbour, _own)),
    Machine(name="stalls", parts=(_stalling, _own)),
    Machine(name="whoever is second gains", parts=(_second_gains, _own)),
    Machine(name="louder at times", parts=(_loud_at_times,)),
    Machine(
        name="all of these",
        parts=(
            *(_heavy, _drifting, _beside_a_neighbour),
            *(_stalling, _second_gains, _loud_at_times),
        ),
    ),
)


def is_ever_called(log_ratios: Floats) -> bool:
    """Whether the load test calls the two different after any of its rounds."""
    looks = (confidence_sequence(log_ratios[:count]) for count in range(2, len(log_ratios) + 1))
    return any(found.bounds is not None and not found.covers(0) for found in looks)


def false_calls(machine: Machine, streams: int, seed: int) -> float:
    """The share of so many load tests in which equal variants are ever called different."""
    rng = np.random.default_rng(seed)
    called = [is_ever_called(machine.log_ratios(rng, number)) for number in range(streams)]
    return float(np.mean(called))
