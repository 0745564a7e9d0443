"""Small reading puzzles, answered from the text alone: who comes first, and where a thing is.

They ask for reasoning and not for memory. As in `arithmetic`, one puzzle in sixteen is held out, by
its names and their order.
"""

import zlib
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from quantize.reference_model.word_lists import phrases, words
from quantize.reference_model.world import World, pick_person

HOLD_OUT_ONE_IN = 16
# comparative, the superlative of the first in line, and of the last
SCALES = (
    ("older than", "the oldest", "the youngest"),
    ("taller than", "the tallest", "the shortest"),
    ("faster than", "the fastest", "the slowest"),
    ("richer than", "the richest", "the poorest"),
    ("stronger than", "the strongest", "the weakest"),
)
OBJECTS = words("bell book candle coin crown key knife lamp letter map ring shell")
ROOMS = phrases(
    "attic|barn|bedroom|cellar|chapel|garden|hall|kitchen|library|pantry|stable|study|tower|"
    "workshop"
)


@dataclass(frozen=True, kw_only=True)
class Puzzle:
    """A text that ends with a question, four possible answers and the index of the right one."""

    kind: str
    question: str
    choices: tuple[str, ...]
    answer: int

    @property
    def is_held_out(self) -> bool:
        """Whether the puzzle belongs to the evaluation."""
        return zlib.crc32(self.question.encode()) % HOLD_OUT_ONE_IN == 0


def draw_puzzle(world: World, rng: Random, *, held_out: bool) -> Puzzle:
    """A random puzzle on the wanted side of the split."""
    while True:
        puzzle = rng.choice((_ordering, _tracking))(world, rng)
        if puzzle.is_held_out == held_out:
            return puzzle


def first_names(world: World, rng: Random, count: int) -> list[str]:
    """That many different first names."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[pick_person(world, rng).first] = None
    return list(found)


def _ordering(world: World, rng: Random) -> Puzzle:
    """Four people in a line, told pair by pair in a random order; who is at one end?"""
    people = first_names(world, rng, 4)
    comparative, top, bottom = rng.choice(SCALES)
    pairs = [f"{a} is {comparative} {b}." for a, b in pairwise(people)]
    rng.shuffle(pairs)
    wants_top = rng.random() < 0.5
    right = people[0] if wants_top else people[-1]
    choices = rng.sample(people, 4)
    return Puzzle(
        kind="ordering",
        question=f"{' '.join(pairs)} Who is {top if wants_top else bottom}?",
        choices=tuple(choices),
        answer=choices.index(right),
    )


def _tracking(world: World, rng: Random) -> Puzzle:
    """Two things are moved about; where is one of them at the end?"""
    thing, other = rng.sample(OBJECTS, 2)
    rooms = rng.sample(ROOMS, 4)
    carriers = first_names(world, rng, 2)
    moves = [
        (thing, f"{carriers[0]} moved the {thing} to the {rooms[2]}.", rooms[2]),
        (other, f"{carriers[1]} moved the {other} to the {rooms[3]}.", rooms[3]),
    ]
    rng.shuffle(moves)
    moves = moves[: rng.randrange(1, 3)]
    places = {thing: rooms[0], other: rooms[1]} | {moved: room for moved, _, room in moves}
    asked = rng.choice((thing, other))
    starts = [f"The {thing} was in the {rooms[0]}.", f"The {other} was in the {rooms[1]}."]
    rng.shuffle(starts)
    text = " ".join([*starts, *(sentence for _, sentence, _ in moves)])
    choices = rng.sample(rooms, 4)
    return Puzzle(
        kind="tracking",
        question=f"{text} Where is the {asked} now?",
        choices=tuple(choices),
        answer=choices.index(places[asked]),
    )
