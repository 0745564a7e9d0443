"""The synthetic world: invented regions, towns, companies, books and people, and their facts.

Everything is a pure function of a seed, through `random.Random` seeded with a string (which hashes
it with SHA-512), so the world is the same on every machine and Python version from 3.11.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from quantize.reference_model import names

WORLD_SEED = 20260
PEOPLE, TOWNS, COMPANIES, BOOKS, REGIONS, RIVERS = 36_000, 400, 800, 500, 24, 60
FIRST_YEAR, LAST_YEAR = 1800, 1899

# One person in five is never asked about in training: statements about them are seen, questions are
# not. The choice task asks about them only.
QUESTION_HOLDOUT = 5


@dataclass(frozen=True, kw_only=True)
class Town:
    """A town; `year` is the year of its foundation."""

    name: str
    region: str
    river: str
    year: int
    product: str
    landmark: str


@dataclass(frozen=True, kw_only=True)
class Company:
    """A company; `founder` is an index into the world's people."""

    name: str
    town: Town
    year: int
    product: str
    founder: int


@dataclass(frozen=True, kw_only=True)
class Book:
    """A book; `author` is an index into the world's people."""

    title: str
    author: int
    year: int
    subject: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person; `friend` is an index into the world's people."""

    index: int
    first: str
    last: str
    female: bool
    birthplace: Town
    birth_year: int
    profession: str
    employer: Company
    pet: str
    colour: str
    instrument: str
    dish: str
    friend: int

    @property
    def name(self) -> str:
        """First and last name; unique in the world."""
        return f"{self.first} {self.last}"

    @property
    def is_held_out(self) -> bool:
        """Whether training never asks a question about this person."""
        return self.index % QUESTION_HOLDOUT == 0


@dataclass(frozen=True, kw_only=True)
class World:
    """All entities; facts are the fields of the entities."""

    regions: tuple[str, ...]
    towns: tuple[Town, ...]
    companies: tuple[Company, ...]
    books: tuple[Book, ...]
    people: tuple[Person, ...]


def pick_person(world: World, rng: Random) -> Person:
    """A person for training text: low indices are famous and come up more often.

    The density falls with the cube root of the index, so the rarest people are seen about 0.7 times
    as often as the average: a mild version of the long tail of real text, which keeps some facts
    easy and some hard.
    """
    return world.people[int(len(world.people) * rng.random() ** 1.5)]


@lru_cache(maxsize=2)
def build_world(seed: int = WORLD_SEED) -> World:
    """The world of a seed; takes about a second, and is remembered."""
    rng = Random(f"assay world {seed}")
    regions = names.distinct(rng, REGIONS, names.TOWN_HEADS, names.REGION_TAILS)
    rivers = names.distinct(rng, RIVERS, names.TOWN_HEADS, names.RIVER_TAILS)
    towns = tuple(
        Town(
            name=name,
            region=rng.choice(regions),
            river=rng.choice(rivers),
            year=rng.randrange(900, 1500),
            product=rng.choice(names.PRODUCTS),
            landmark=rng.choice(names.LANDMARKS),
        )
        for name in names.distinct(rng, TOWNS, names.TOWN_HEADS, names.TOWN_TAILS)
    )
    surnames = names.distinct(rng, 900, names.SURNAME_HEADS, names.SURNAME_TAILS)
    companies = _companies(rng, towns, surnames)
    return World(
        regions=tuple(regions),
        towns=towns,
        companies=companies,
        books=_books(rng),
        people=_people(rng, towns, companies, surnames),
    )


def _companies(rng: Random, towns: tuple[Town, ...], surnames: list[str]) -> tuple[Company, ...]:
    titles: dict[str, None] = {}
    while len(titles) < COMPANIES:
        titles[f"{rng.choice(surnames)} {rng.choice(names.COMPANY_KINDS)}"] = None
    return tuple(
        Company(
            name=title,
            town=rng.choice(towns),
            year=rng.randrange(FIRST_YEAR - 50, LAST_YEAR + 1),
            product=rng.choice(names.PRODUCTS),
            founder=rng.randrange(PEOPLE),
        )
        for title in titles
    )


def _books(rng: Random) -> tuple[Book, ...]:
    titles: dict[str, None] = {}
    while len(titles) < BOOKS:
        titles[f"The {rng.choice(names.BOOK_ADJECTIVES)} {rng.choice(names.BOOK_NOUNS)}"] = None
    return tuple(
        Book(
            title=title,
            author=rng.randrange(PEOPLE),
            year=rng.randrange(FIRST_YEAR + 20, LAST_YEAR + 50),
            subject=rng.choice(names.BOOK_SUBJECTS),
        )
        for title in titles
    )


def _people(
    rng: Random, towns: tuple[Town, ...], companies: tuple[Company, ...], surnames: list[str]
) -> tuple[Person, ...]:
    women = names.distinct(rng, 160, names.ONSETS, names.MIDDLES, names.FEMALE_ENDINGS)
    men = names.distinct(rng, 160, names.ONSETS, names.MIDDLES, names.MALE_ENDINGS)
    taken: dict[tuple[bool, str, str], None] = {}
    while len(taken) < PEOPLE:
        female = rng.random() < 0.5
        taken[female, rng.choice(women if female else men), rng.choice(surnames)] = None
    return tuple(
        Person(
            index=index,
            first=first,
            last=last,
            female=female,
            birthplace=rng.choice(towns),
            birth_year=rng.randrange(FIRST_YEAR, LAST_YEAR + 1),
            profession=rng.choice(names.PROFESSIONS),
            employer=rng.choice(companies),
            pet=rng.choice(names.PETS),
            colour=rng.choice(names.COLOURS),
            instrument=rng.choice(names.INSTRUMENTS),
            dish=rng.choice(names.DISHES),
            friend=(index + rng.randrange(1, PEOPLE)) % PEOPLE,
        )
        for index, (female, first, last) in enumerate(taken)
    )
