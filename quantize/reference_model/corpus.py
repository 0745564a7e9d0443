"""The training distribution: documents of all kinds in fixed proportions, numbered and repeatable.

Document `i` of a named stream depends on the stream's name and `i` alone. Training, calibration and
held-out text are streams of different names.
"""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random

from quantize.reference_model import dialogues, entries, questions, stories
from quantize.reference_model.world import World

Writer = Callable[[World, Random], str]

# Kind of document and its share in parts per hundred (of documents, not of tokens).
PROSE: tuple[tuple[Writer, int], ...] = (
    (entries.entry_about_person, 22),
    (entries.circle_of_friends, 5),
    (entries.notes, 9),
    (entries.entry_about_place, 3),
    (entries.entry_about_company, 3),
    (entries.entry_about_book, 2),
    (dialogues.dialogue, 5),
    (dialogues.letter, 4),
    (stories.story, 6),
)
EXERCISES: tuple[tuple[Writer, int], ...] = (
    (questions.plain_questions, 14),
    (questions.plain_problems, 15),
    (questions.plain_puzzles, 4),
    (questions.chat, 8),
)
KINDS = PROSE + EXERCISES


def document(
    world: World, stream: str, index: int, kinds: tuple[tuple[Writer, int], ...] = KINDS
) -> str:
    """Document `index` of a stream."""
    rng = Random(f"{stream}:{index}")
    writers, weights = zip(*kinds, strict=True)
    writer: Writer = rng.choices(writers, weights)[0]
    return writer(world, rng)


def documents(
    world: World, stream: str, kinds: tuple[tuple[Writer, int], ...] = KINDS
) -> Iterator[str]:
    """All documents of a stream; endless."""
    for index in count():
        yield document(world, stream, index, kinds)
