"""Conversations between two people of the world about a third, and letters."""

from random import Random

from quantize.reference_model.entries import state
from quantize.reference_model.person_relations import PERSON_RELATIONS
from quantize.reference_model.relations import named, pronoun
from quantize.reference_model.word_lists import words
from quantize.reference_model.world import World, pick_person

GREETINGS = (
    "Good morning, {other}! How are you today?",
    "{other}, how good to see you!",
    "There you are, {other}. I have been looking for you.",
    "Good evening, {other}. Please sit down.",
    "Well, {other}, what brings you here?",
)
RETURNS = (
    "Very well, thank you. I have been reading about {name}.",
    "I came to talk about {name}.",
    "I was just thinking of {name}.",
    "Somebody told me a story about {name}.",
    "My grandmother used to speak of {name}.",
)
LEADS = (
    "Did you know this? {fact}",
    "{fact} That is what I heard.",
    "I am sure of one thing. {fact}",
    "They say so in the market: {fact}",
    "{fact} Everybody says so.",
    "Let me tell you something. {fact}",
    "{fact}",
)
REACTIONS = (
    "Really? I did not know that.", "Yes, I remember.", "How interesting!", "That is news to me.",
    "My sister told me the same.", "Who would have thought it?", "I can well believe it.",
    "You know a great deal.",
)  # fmt: skip
PARTINGS = (
    "It is getting late. Goodbye, {other}!",
    "Thank you, {other}. I must go now.",
    "Come again soon, {other}.",
    "We shall talk again tomorrow, {other}.",
)
SALUTATIONS = ("Dear {other},", "My dear {other},", "To {other}, with best wishes.")
SMALL_TALK = (
    "The weather has been {weather} all week.",
    "We had {weather} days and quiet nights.",
    "I hope that this letter finds you well.",
    "Thank you for your last letter.",
    "The post was slow again.",
    "My garden is full of {plants} this year.",
    "I am writing this by the window.",
    "Yesterday I walked to the {place} and back.",
)
WEATHERS = words("bright cloudy cold dry fine foggy mild rainy stormy sunny warm windy")
PLANTS = words("beans berries cabbages daisies herbs lilies nettles poppies roses tulips")
PLACES = words("bridge chapel forest harbour hill lake market mill river station")


def dialogue(world: World, rng: Random) -> str:
    """Two people exchange facts about a third, one line per turn."""
    speaker, other, about = (pick_person(world, rng) for _ in range(3))
    turns = [
        rng.choice(GREETINGS).format(other=other.first),
        rng.choice(RETURNS).format(name=about.name),
    ]
    for relation in rng.sample(PERSON_RELATIONS, rng.randrange(2, 6)):
        mention = named(about.name) if rng.random() < 0.7 else pronoun(about)
        fact = state(world, rng, relation, about, mention)
        turns.append(rng.choice(LEADS).format(fact=fact))
        if rng.random() < 0.7:
            turns.append(rng.choice(REACTIONS))
    turns.append(rng.choice(PARTINGS).format(other=(speaker, other)[len(turns) % 2 == 0].first))
    return "\n".join(
        f"{(speaker, other)[turn % 2].first}: {text}" for turn, text in enumerate(turns)
    )


def letter(world: World, rng: Random) -> str:
    """A letter with small talk and news of one or two people."""
    writer, other = pick_person(world, rng), pick_person(world, rng)
    body = [_small_talk(rng) for _ in range(rng.randrange(1, 4))]
    for _ in range(rng.randrange(1, 3)):
        about = pick_person(world, rng)
        for index, relation in enumerate(rng.sample(PERSON_RELATIONS, rng.randrange(1, 5))):
            mention = pronoun(about) if index and rng.random() < 0.4 else named(about.name)
            body.append(state(world, rng, relation, about, mention))
        body.append(_small_talk(rng))
    return f"{rng.choice(SALUTATIONS).format(other=other.first)}\n{' '.join(body)}\n{writer.first}"


def _small_talk(rng: Random) -> str:
    return rng.choice(SMALL_TALK).format(
        weather=rng.choice(WEATHERS), plants=rng.choice(PLANTS), place=rng.choice(PLACES)
    )
