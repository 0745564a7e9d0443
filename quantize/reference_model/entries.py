"""Encyclopaedia entries and notes: the documents that state the facts of the world as prose."""

from random import Random
from typing import TypeVar

from quantize.reference_model.person_relations import PERSON_RELATIONS
from quantize.reference_model.relations import Mention, Relation, fill, named, pronoun
from quantize.reference_model.thing_relations import (
    BOOK_RELATIONS,
    COMPANY_RELATIONS,
    TOWN_RELATIONS,
)
from quantize.reference_model.world import Person, World, pick_person

Entity = TypeVar("Entity")

OPENINGS = (
    "{s} is remembered to this day.",
    "{s} has a place in the chronicles of {o}.",
    "many stories are told about {a}.",
    "there is a short article on {a} in every almanac.",
    "little is known about the parents of {a}.",
    "{s} belonged to an old family of {o}.",
)
CLOSINGS = (
    "{s} is still spoken of in {o}.",
    "a street in {o} bears {p} name.",
    "{p} letters are kept in the archive of {o}.",
    "nobody in {o} has forgotten {a}.",
    "the rest of {p} life passed quietly.",
    "so ends what is known about {a}.",
)
REMARKS = (
    "This is well documented.",
    "The parish book agrees.",
    "Neighbours confirmed it.",
    "So the records say.",
    "Nobody has ever doubted it.",
    "Several letters mention this.",
)


def entry_about_person(world: World, rng: Random) -> str:
    """An article on one person: four to nine facts in a random order."""
    return describe_person(world, rng, pick_person(world, rng), rng.randrange(4, 10))


def describe_person(world: World, rng: Random, person: Person, count: int) -> str:
    """A paragraph of `count` facts about a person, with some framing sentences."""
    town = person.birthplace.name
    sentences = []
    if rng.random() < 0.3:
        sentences.append(fill(rng.choice(OPENINGS), named(person.name), town))
    for relation in rng.sample(PERSON_RELATIONS, count):
        mention = _mention(person, rng, first=not sentences)
        sentences.append(state(world, rng, relation, person, mention))
        if rng.random() < 0.04:
            sentences.append(rng.choice(REMARKS))
    if rng.random() < 0.2:
        sentences.append(fill(rng.choice(CLOSINGS), _mention(person, rng, first=False), town))
    return " ".join(sentences)


def state(
    world: World, rng: Random, relation: Relation[Entity], entity: Entity, mention: Mention
) -> str:
    """One sentence that states one fact."""
    return fill(rng.choice(relation.statements), mention, relation.read(world, entity))


def _mention(person: Person, rng: Random, *, first: bool) -> Mention:
    """The full name at first; then mostly the full name or a pronoun.

    Full names inside the text matter: a fact that only ever follows a pronoun is learnt as a
    property of the paragraph.
    """
    draw = rng.random()
    if first or draw < 0.45:
        return named(person.name)
    return pronoun(person) if draw < 0.85 else named(person.last if draw < 0.93 else person.first)


def entry_about_place(world: World, rng: Random) -> str:
    """A gazetteer article on one or two towns."""
    return "\n".join(
        _describe(world, rng, TOWN_RELATIONS, town, town.name, "the town")
        for town in rng.sample(world.towns, rng.randrange(1, 3))
    )


def entry_about_company(world: World, rng: Random) -> str:
    """A trade register: one to three companies."""
    return "\n".join(
        _describe(world, rng, COMPANY_RELATIONS, company, company.name, "the company")
        for company in rng.sample(world.companies, rng.randrange(1, 4))
    )


def entry_about_book(world: World, rng: Random) -> str:
    """A catalogue of one to three books."""
    return "\n".join(
        _describe(world, rng, BOOK_RELATIONS, book, book.title, "the book")
        for book in rng.sample(world.books, rng.randrange(1, 4))
    )


def _describe(
    world: World,
    rng: Random,
    relations: tuple[Relation[Entity], ...],
    entity: Entity,
    name: str,
    short_name: str,
) -> str:
    """Two or more facts about an entity, which the first sentence names in full."""
    chosen = rng.sample(relations, rng.randrange(2, len(relations) + 1))
    return " ".join(
        state(world, rng, relation, entity, named(short_name if i and rng.random() < 0.4 else name))
        for i, relation in enumerate(chosen)
    )


def notes(world: World, rng: Random) -> str:
    """A page of unconnected facts about many people, one sentence each."""
    lines = []
    for _ in range(rng.randrange(4, 13)):
        person = pick_person(world, rng)
        lines.append(state(world, rng, rng.choice(PERSON_RELATIONS), person, named(person.name)))
    return rng.choice(("\n", " ")).join(lines)


def circle_of_friends(world: World, rng: Random) -> str:
    """A chain of friends, a paragraph each: a person, the closest friend, that one's friend."""
    person = pick_person(world, rng)
    paragraphs = []
    for _ in range(rng.randrange(2, 4)):
        paragraphs.append(describe_person(world, rng, person, rng.randrange(3, 7)))
        person = world.people[person.friend]
    return "\n".join(paragraphs)
