"""The items of the three bundled evaluation tasks, all held out from training.

- text: whole documents of a stream that training does not read;
- choice: questions about people whom training never asks about, two-hop questions about the same
  people, and held-out reading puzzles; four choices each;
- words: held-out arithmetic problems.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from quantize.reference_model import corpus
from quantize.reference_model.arithmetic import draw_problem
from quantize.reference_model.person_relations import PERSON_RELATIONS
from quantize.reference_model.puzzles import draw_puzzle
from quantize.reference_model.questions import HOPS, hop_answer
from quantize.reference_model.relations import fill, named
from quantize.reference_model.world import Person, World

TEXT_ITEMS, TEXT_WORDS = 150, range(100, 251)
FACT_ITEMS, HOP_ITEMS, PUZZLE_ITEMS = 900, 100, 200
WORDS_ITEMS = 1000

Row = dict[str, Any]


def text_rows(world: World) -> list[Row]:
    """Held-out prose documents of 100 to 250 words."""
    rows: list[Row] = []
    stream = corpus.documents(world, "evaluation text", corpus.PROSE)
    while len(rows) < TEXT_ITEMS:
        text = next(stream)
        if len(text.split()) in TEXT_WORDS:
            rows.append({"id": f"text-{len(rows):04d}", "text": text})
    return rows


def choice_rows(world: World) -> list[Row]:
    """All multiple-choice items, in a fixed mixed order."""
    rng = Random("evaluation choice")
    items = [*_fact_items(world, rng), *_hop_items(world, rng), *_puzzle_items(world, rng)]
    rng.shuffle(items)
    return [{"id": f"choice-{index:04d}", **item} for index, item in enumerate(items)]


def words_rows(world: World) -> list[Row]:
    """Distinct held-out arithmetic problems."""
    rng = Random("evaluation words")
    rows: dict[tuple[str, tuple[int, ...]], Row] = {}
    while len(rows) < WORDS_ITEMS:
        problem = draw_problem(world, rng, held_out=True)
        key = problem.kind, problem.numbers
        if key not in rows:
            rows[key] = {
                "id": f"words-{len(rows):04d}",
                "kind": problem.kind,
                "question": problem.question,
                "solution": problem.solution,
                "answer": str(problem.answer),
            }
    return list(rows.values())


def _held_out_people(world: World, rng: Random, count: int) -> list[Person]:
    return rng.sample([person for person in world.people if person.is_held_out], count)


def _fact_items(world: World, rng: Random) -> Iterator[Row]:
    """One item per person; the relations take turns."""
    for index, person in enumerate(_held_out_people(world, rng, FACT_ITEMS)):
        relation = PERSON_RELATIONS[index % len(PERSON_RELATIONS)]
        question = fill(rng.choice(relation.questions), named(person.name))
        yield _item(world, rng, relation.name, question, person, partial(relation.read, world))


def _hop_items(world: World, rng: Random) -> Iterator[Row]:
    """One item per person; the kinds of two-hop questions take turns."""
    for index, person in enumerate(_held_out_people(world, rng, HOP_ITEMS)):
        hop, wording = HOPS[index % len(HOPS)]
        question = fill(wording, named(person.name))
        yield _item(world, rng, hop, question, person, partial(hop_answer, hop=hop))


def _puzzle_items(world: World, rng: Random) -> Iterator[Row]:
    for _ in range(PUZZLE_ITEMS):
        puzzle = draw_puzzle(world, rng, held_out=True)
        yield {
            "kind": puzzle.kind,
            "question": puzzle.question,
            "choices": list(puzzle.choices),
            "answer": puzzle.answer,
        }


def _item(
    world: World,
    rng: Random,
    kind: str,
    question: str,
    person: Person,
    read: Callable[[Person], str],
) -> Row:
    """An item whose wrong choices are what is true of three namesakes.

    They share the person's first or last name, so the name must be read as a whole.
    """
    right = read(person)
    namesakes = [
        other
        for other in world.people
        if (other.first == person.first) != (other.last == person.last)
    ]
    choices = {right: None}
    while len(choices) < 4:
        choices[read(rng.choice(namesakes))] = None
    order = rng.sample(list(choices), 4)
    return {"kind": kind, "question": question, "choices": order, "answer": order.index(right)}
