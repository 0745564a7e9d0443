"""What can be said and asked about the entities of the world: sentence templates per relation.

Each fact has at least five statements (a fact that is always worded the same way is learnt as a
string and cannot be extracted by a question: "Physics of Language Models, part 3.1",
arXiv 2309.14316) and several questions. Templates name `{s}` the subject, `{p}` its possessive,
`{a}` its accusative, `{o}` the object and `{an}` the object with its indefinite article.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from quantize.reference_model.names import article
from quantize.reference_model.world import Person, World

Entity = TypeVar("Entity")


@dataclass(frozen=True, kw_only=True)
class Relation(Generic[Entity]):
    """One kind of fact; `read` gives the object of an entity's fact as text."""

    name: str
    read: Callable[[World, Entity], str]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    replies: tuple[str, ...]


@dataclass(frozen=True)
class Mention:
    """How a sentence names its subject: nominative, possessive, accusative."""

    nominative: str
    possessive: str
    accusative: str


def named(name: str) -> Mention:
    """A mention by name."""
    return Mention(name, f"{name}'" if name.endswith("s") else f"{name}'s", name)


def pronoun(person: Person) -> Mention:
    """A mention of a person by pronoun."""
    return Mention("she", "her", "her") if person.female else Mention("he", "his", "him")


def fill(template: str, mention: Mention, value: str = "") -> str:
    """The template with subject and object in place, starting with a capital letter."""
    text = template.format(
        s=mention.nominative,
        p=mention.possessive,
        a=mention.accusative,
        o=value,
        an=article(value) if value else "",
    )
    return text[0].upper() + text[1:]
