"""A long made-up record of a town whose entries refer to each other: what retrieval and long texts
are made of.

Nothing in it can be known from elsewhere, so whatever is told again later must have been read. Its
sentences hold few digits, for tokenizers cut these one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from eval.suite.tables import column, names

# A token of English prose seldom spells fewer bytes than this, whatever the tokenizer.
BYTES_PER_TOKEN = 3.2
_COLOURS = (
    *("red", "blue", "green", "yellow", "white", "black", "brown", "grey", "silver", "golden"),
    *("orange", "purple"),
)
_PLACES = (
    *("mill", "harbour", "chapel", "bakery", "quarry", "theatre", "station", "library", "brewery"),
    *("orchard", "lighthouse", "tannery"),
)
_DOINGS = (
    "repaired the roof of the {place}",
    "counted the {things} in the {place}",
    "carried a load of {things} to the {place}",
    "asked for the key of the {place}",
    "painted the door of the {place} {colour}",
    "left the {things} at the {place} overnight",
    "swept the yard of the {place} before breakfast",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sentence of the record, and what it says that later ones may refer to."""

    text: str
    who: str
    did: str


def entries(rng: Random) -> Iterator[Entry]:
    """Entries without end; about every fourth refers to an earlier one."""
    told: list[Entry] = []
    while True:
        entry = _later(rng, told) if told and rng.random() < 0.25 else _fresh(rng)
        told.append(entry)
        yield entry


def _fresh(rng: Random) -> Entry:
    (who,) = names(rng, 1)
    day = rng.choice(column("weekdays", "day"))
    did = rng.choice(_DOINGS).format(
        place=rng.choice(_PLACES),
        things=rng.choice(column("things", "many")),
        colour=rng.choice(_COLOURS),
    )
    return Entry(text=f"On {day} {who} {did}.", who=who, did=did)


def _later(rng: Random, told: list[Entry]) -> Entry:
    earlier = rng.choice(told)
    (who,) = names(rng, 1)
    text = f"{who} remembered that {earlier.who} had {earlier.did}, and wrote it down."
    return Entry(text=text, who=earlier.who, did=earlier.did)


def sentences_of(rng: Random, tokens: float) -> list[str]:
    """Sentences of about so many tokens together, and hardly more."""
    found: list[str] = []
    room = tokens * BYTES_PER_TOKEN
    for entry in entries(rng):
        room -= len(entry.text) + 1
        if room < 0:
            return found
        found.append(entry.text)
    raise AssertionError("entries have no end")


def colours(rng: Random, count: int) -> list[str]:
    """Different colours."""
    return rng.sample(_COLOURS, count)


def places(rng: Random, count: int) -> list[str]:
    """Different places of the town."""
    return rng.sample(_PLACES, count)
