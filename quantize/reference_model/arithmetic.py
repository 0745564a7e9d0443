"""Short arithmetic problems in words, of two to four steps, with the steps worked out.

A problem is identified by its kind and its numbers. One identity in sixteen is held out: training
rejects it, the evaluation draws only from it, so that no evaluation problem is ever trained on,
whatever its names and nouns.
"""

import zlib
from dataclasses import dataclass
from random import Random

from quantize.reference_model.word_lists import words
from quantize.reference_model.world import World, pick_person

THINGS = words(
    "apples bells books bottles buttons candles cards coins eggs feathers figs keys lamps lemons "
    "letters maps marbles nails nuts oranges pears pencils plums ribbons ropes shells spoons "
    "stamps stones tickets"
)
HOLDERS = words("bags barrels baskets boxes cases chests crates drawers jars sacks")
HOLD_OUT_ONE_IN = 16


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question, its worked solution (without the final sentence) and its answer."""

    kind: str
    numbers: tuple[int, ...]
    question: str
    steps: tuple[str, ...]
    answer: int

    @property
    def is_held_out(self) -> bool:
        """Whether the problem belongs to the evaluation; depends on kind and numbers alone."""
        identity = f"{self.kind}:{','.join(map(str, self.numbers))}"
        return zlib.crc32(identity.encode()) % HOLD_OUT_ONE_IN == 0

    @property
    def solution(self) -> str:
        """The worked steps and the answer, on one line."""
        return f"{' '.join(self.steps)} The answer is {self.answer}."


def draw_problem(world: World, rng: Random, *, held_out: bool) -> Problem:
    """A random problem on the wanted side of the split."""
    while True:
        problem = rng.choice(KINDS)(_Cast(world, rng), rng)
        if problem.is_held_out == held_out:
            return problem


def _size(rng: Random, low: int, high: int) -> int:
    """A number from `low` to `high`, small ones and large ones alike (log-uniform)."""
    return min(high, int(low * ((high + 1) / low) ** rng.random()))


class _Cast:
    """The names and nouns of one problem."""

    def __init__(self, world: World, rng: Random) -> None:
        person, other = pick_person(world, rng), pick_person(world, rng)
        while other.first == person.first:
            other = pick_person(world, rng)
        self.name, self.other = person.first, other.first
        self.they = "she" if person.female else "he"
        self.thing = rng.choice(THINGS)
        self.holder = rng.choice(HOLDERS)


def _chain(cast: _Cast, rng: Random) -> Problem:
    """Start with some, get more, give some away, and perhaps find more: two or three steps."""
    start, more = _size(rng, 20, 99_999), _size(rng, 20, 99_999)
    less = _size(rng, 10, start + more - 1)
    first, second = start + more, start + more - less
    question = (
        f"{cast.name} has {start} {cast.thing}. {rng.choice((cast.other, 'A neighbour'))} brings "
        f"{more} more. Then {cast.name} {rng.choice(('sells', 'loses', 'gives away'))} {less}."
    )
    steps = [f"{start} + {more} = {first}.", f"{first} - {less} = {second}."]
    numbers, answer = [start, more, less], second
    if rng.random() < 0.5:
        found = _size(rng, 10, 99_999)
        question += f" Later {cast.they} finds {found}."
        answer = second + found
        steps.append(f"{second} + {found} = {answer}.")
        numbers.append(found)
    question += f" How many {cast.thing} does {cast.name} have now?"
    return _problem("chain", numbers, question, steps, answer)


def _holders(cast: _Cast, rng: Random) -> Problem:
    """Full containers and loose things, some taken away: three steps."""
    count, size, loose = _size(rng, 3, 999), _size(rng, 6, 99), _size(rng, 5, 999)
    product = count * size
    total = product + loose
    taken = _size(rng, 5, total - 1)
    question = (
        f"There are {count} {cast.holder} with {size} {cast.thing} each and {loose} loose "
        f"{cast.thing}. {cast.name} takes {taken} {cast.thing} away. How many are left?"
    )
    steps = [
        f"{count} * {size} = {product}.",
        f"{product} + {loose} = {total}.",
        f"{total} - {taken} = {total - taken}.",
    ]
    return _problem("holders", [count, size, loose, taken], question, steps, total - taken)


def _shopping(cast: _Cast, rng: Random) -> Problem:
    """Two purchases: three steps, or four with the change."""
    first_count, first_price = _size(rng, 2, 99), _size(rng, 3, 199)
    second_count, second_price = _size(rng, 2, 99), _size(rng, 3, 199)
    first, second = first_count * first_price, second_count * second_price
    total = first + second
    other_thing = rng.choice([thing for thing in THINGS if thing != cast.thing])
    question = (
        f"{cast.name} buys {first_count} {cast.thing} for {first_price} pence each and "
        f"{second_count} {other_thing} for {second_price} pence each."
    )
    steps = [
        f"{first_count} * {first_price} = {first}.",
        f"{second_count} * {second_price} = {second}.",
        f"{first} + {second} = {total}.",
    ]
    numbers = [first_count, first_price, second_count, second_price]
    if rng.random() < 0.5:
        return _problem(
            "shopping", numbers, f"{question} How many pence does {cast.they} pay?", steps, total
        )
    purse = total + _size(rng, 5, 2_000)
    question += f" {cast.they.capitalize()} had {purse} pence. How many pence are left?"
    steps.append(f"{purse} - {total} = {purse - total}.")
    return _problem("shopping", [*numbers, purse], question, steps, purse - total)


def _sharing(cast: _Cast, rng: Random) -> Problem:
    """Two heaps put together and shared equally: two or three steps."""
    friends, each = rng.randrange(2, 30), _size(rng, 12, 999)
    total = friends * each
    first = _size(rng, 5, total - 5)
    second = total - first
    question = (
        f"{cast.name} has {first} {cast.thing} and {cast.other} has {second}. They share all of "
        f"them equally among {friends} friends."
    )
    steps = [f"{first} + {second} = {total}.", f"{total} / {friends} = {each}."]
    numbers = [first, second, friends]
    if rng.random() < 0.5:
        question += f" How many {cast.thing} does each friend get?"
        return _problem("sharing", numbers, question, steps, each)
    lost = _size(rng, 2, each - 1)
    question += f" One friend loses {lost}. How many {cast.thing} does that friend still have?"
    steps.append(f"{each} - {lost} = {each - lost}.")
    return _problem("sharing", [*numbers, lost], question, steps, each - lost)


def _comparing(cast: _Cast, rng: Random) -> Problem:
    """One person has so many more, or so many times as many: two or three steps."""
    own, extra, factor = _size(rng, 15, 9_999), _size(rng, 10, 9_999), rng.randrange(2, 30)
    if rng.random() < 0.5:
        relation, other, step = f"{extra} more {cast.thing} than", own + extra, f"{own} + {extra}"
        numbers = [own, extra]
    else:
        relation, other = f"{factor} times as many {cast.thing} as", own * factor
        step, numbers = f"{own} * {factor}", [own, -factor]
    given = _size(rng, 5, own + other - 1)
    question = (
        f"{cast.name} has {own} {cast.thing}. {cast.other} has {relation} {cast.name}. Together "
        f"they use {given}. How many {cast.thing} do they have left?"
    )
    steps = [
        f"{step} = {other}.",
        f"{own} + {other} = {own + other}.",
        f"{own + other} - {given} = {own + other - given}.",
    ]
    return _problem("comparing", [*numbers, given], question, steps, own + other - given)


def _journey(cast: _Cast, rng: Random) -> Problem:
    """Daily stages of a journey and what remains of it: three steps."""
    days, daily, extra = _size(rng, 3, 365), _size(rng, 8, 99), _size(rng, 5, 999)
    travelled = days * daily
    total = travelled + extra
    length = total + _size(rng, 10, 9_999)
    question = (
        f"{cast.name} walks {daily} miles a day for {days} days and then rides {extra} miles. The "
        f"whole road is {length} miles long. How many miles remain?"
    )
    steps = [
        f"{days} * {daily} = {travelled}.",
        f"{travelled} + {extra} = {total}.",
        f"{length} - {total} = {length - total}.",
    ]
    return _problem("journey", [days, daily, extra, length], question, steps, length - total)


def _problem(
    kind: str, numbers: list[int], question: str, steps: list[str], answer: int
) -> Problem:
    return Problem(
        kind=kind, numbers=tuple(numbers), question=question, steps=tuple(steps), answer=answer
    )


KINDS = (_chain, _holders, _shopping, _sharing, _comparing, _journey)
