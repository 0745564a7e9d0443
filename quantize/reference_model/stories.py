"""Short stories with a plot in which things have consequences.

A story follows one object: it is lost, somebody helps or refuses, and the ending depends on what
happened before, so that a reader who remembers the beginning predicts the end.
"""

from dataclasses import dataclass
from random import Random

from quantize.reference_model.names import article
from quantize.reference_model.word_lists import phrases, words
from quantize.reference_model.world import Person, Town, World, pick_person

OBJECTS = phrases(
    "silver key|brass compass|leather purse|old map|music box|glass lamp|wooden flute|"
    "golden ring|velvet cloak|clay jug|painted mask|iron lantern|woollen scarf|copper kettle|"
    "bone comb|little bell"
)
SEASONS = words("spring summer autumn winter")
MOODS = words("anxious bored cheerful curious gloomy hungry lonely nervous proud restless tired")
HIDING_PLACES = phrases(
    "under a bridge|behind a stove|in a hollow tree|beneath the stairs|at the bottom of a well|"
    "in a hay cart|on a window sill|among old newspapers|in a bird's nest|inside a drum"
)
SOUNDS = phrases(
    "a door creaked|an owl called|the church clock struck nine|thunder rolled over the hills|"
    "a dog began to bark|somebody laughed|the rain grew louder|a cart rattled past"
)
REWARDS = phrases(
    "a basket of plums|three silver coins|a warm supper|a new pair of boots|a bed for the night|"
    "a jar of honey|a seat by the fire|a song"
)
MORALS = (
    "Kindness is never wasted.",
    "Patience opens more doors than keys.",
    "A friend is worth more than gold.",
    "Who asks politely is answered.",
    "What is lost often lies close by.",
    "It is better to share than to hide.",
)
BEGINNINGS = (
    "It was a cold {season} morning in {town}, and {name} felt {mood}.",
    "One {season} day {name}, {job}, came to {town}.",
    "In {town}, by the river {river}, there lived {job} named {name}.",
    "{name} had never been so {mood} as on that {season} evening in {town}.",
    "Everybody in {town} knew {name}, {job} with a {mood} face.",
)
LOSSES = (
    "{They} had lost {the_object}, a present from {their} mother.",
    "{Their} {object} was gone, and without it {they} could not go home.",
    "Somebody had taken {the_object} from {their} room in the night.",
    "That morning {they} had put {the_object} in {their} pocket, and now the pocket was empty.",
)
SEARCHES = (
    "{They} looked near the {landmark}, but found nothing there.",
    "{They} asked at the {landmark}; nobody had seen it.",
    "For an hour {they} walked up and down before the {landmark}.",
    "{They} searched every corner between the {landmark} and the river.",
)
MEETINGS = (
    "Then {other}, {other_job}, came round the corner.",
    "Suddenly {sound}, and there stood {other}, {other_job}.",
    "At the market {they} met {other}, {other_job} from {other_town}.",
)
OFFERS = (
    '"What are you looking for?" asked {other}. "For my {object}," said {name}.',
    '"You look {mood}," said {other}. "I have lost my {object}," {name} answered.',
    '"Have you seen my {object}?" asked {name}. {other} thought for a while.',
)
HELPS = (
    '"I saw it {hiding}," said {other}.',
    '"Look {hiding}," {other} whispered.',
    '{other} nodded and said: "There was something {hiding} when I came."',
)
REFUSALS = (
    '"I have no time," said {other}, and walked on.',
    '"Find it yourself," {other} grumbled, and shut the door.',
    "{other} only shrugged and went away.",
)
FINDS = (
    "{name} ran there, and {hiding} lay the {object}.",
    "And indeed: {hiding} {they} found the {object}.",
    "{They} looked {hiding}, and there it was, the {object}.",
)
LATE_FINDS = (
    "Only much later, when {they} had given up hope, did {name} find the {object} {hiding}.",
    "Three days later a child found the {object} {hiding} and brought it back to {name}.",
    "{name} never saw the {object} again.",
)
THANKS = (
    "{They} gave {other} {reward} and thanked {other_them} warmly.",
    "{other} received {reward}, and the two became friends.",
    "To say thank you, {name} offered {other} {reward}.",
)
GRUDGES = (
    "From that day {name} and {other} did not speak to each other.",
    "{name} told the whole of {town} how unkind {other} had been.",
    "When {other} asked for help the next {season}, {name} remembered.",
)


@dataclass(frozen=True)
class _Scene:
    """The slots that a story's sentences may use."""

    slots: dict[str, str]

    def tell(self, rng: Random, options: tuple[str, ...]) -> str:
        text = rng.choice(options).format_map(self.slots)
        return text[0].upper() + text[1:]


def story(world: World, rng: Random) -> str:
    """A story of seven to ten sentences: loss, search, meeting, help or refusal, ending."""
    hero, other = pick_person(world, rng), pick_person(world, rng)
    while other.first == hero.first:
        other = pick_person(world, rng)
    town = rng.choice(world.towns)
    scene = _Scene(_slots(rng, hero, other, town))
    helped = rng.random() < 0.6
    parts = [BEGINNINGS, LOSSES, SEARCHES, MEETINGS, OFFERS]
    parts += [HELPS, FINDS, THANKS] if helped else [REFUSALS, LATE_FINDS, GRUDGES]
    sentences = [scene.tell(rng, part) for part in parts]
    if rng.random() < 0.3:
        sentences.insert(3, scene.tell(rng, SEARCHES))
    if rng.random() < 0.4:
        sentences.append(rng.choice(MORALS))
    if rng.random() < 0.5:
        return " ".join(sentences)
    middle = 3 + len(sentences) % 2
    return " ".join(sentences[:middle]) + "\n" + " ".join(sentences[middle:])


def _slots(rng: Random, hero: Person, other: Person, town: Town) -> dict[str, str]:
    thing = rng.choice(OBJECTS)
    they, their = ("she", "her") if hero.female else ("he", "his")
    return {
        "name": hero.first,
        "other": other.first,
        "job": article(hero.profession),
        "other_job": article(other.profession),
        "other_town": other.birthplace.name,
        "other_them": "her" if other.female else "him",
        "town": town.name,
        "river": town.river,
        "landmark": town.landmark,
        "season": rng.choice(SEASONS),
        "mood": rng.choice(MOODS),
        "object": thing,
        "the_object": f"{their} {thing}",
        "hiding": rng.choice(HIDING_PLACES),
        "sound": rng.choice(SOUNDS),
        "reward": rng.choice(REWARDS),
        "they": they,
        "They": they.capitalize(),
        "their": their,
        "Their": their.capitalize(),
    }
