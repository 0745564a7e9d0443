"""Questions and answers: plain and in the chat format, about facts, reading puzzles and arithmetic.

Training never asks about people whose index is a multiple of `world.QUESTION_HOLDOUT`; the choice
task asks about no others.
"""

from dataclasses import dataclass
from random import Random

from quantize.reference_model.arithmetic import Problem, draw_problem
from quantize.reference_model.person_relations import PERSON_RELATIONS
from quantize.reference_model.puzzles import draw_puzzle
from quantize.reference_model.relations import fill, named
from quantize.reference_model.thing_relations import (
    BOOK_RELATIONS,
    COMPANY_RELATIONS,
    TOWN_RELATIONS,
)
from quantize.reference_model.world import Person, World, pick_person

USER, ASSISTANT, SYSTEM, END = "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"
SYSTEM_MESSAGES = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You know the people and places of this world.",
    "Answer the question of the user.",
)
# Questions whose answer joins two facts: name, wording, and how to read the answer.
HOPS = (
    ("birth region", "In which region was {s} born?"),
    ("birth river", "Which river flows through the town where {s} was born?"),
    ("work town", "In which town is the company that employed {s}?"),
    ("work goods", "What does the company that employed {s} make?"),
)


@dataclass(frozen=True)
class Exchange:
    """A question with a short answer and an answer in a whole sentence."""

    question: str
    short: str
    sentence: str


def hop_answer(person: Person, hop: str) -> str:
    """The answer to the two-hop question `hop` about a person."""
    return {
        "birth region": person.birthplace.region,
        "birth river": person.birthplace.river,
        "work town": person.employer.town.name,
        "work goods": person.employer.product,
    }[hop]


def ask_about_person(world: World, rng: Random, person: Person) -> Exchange:
    """A one-hop question in nine of ten cases, otherwise a two-hop question."""
    subject = named(person.name)
    if rng.random() < 0.1:
        hop, wording = rng.choice(HOPS)
        answer = hop_answer(person, hop)
        return Exchange(fill(wording, subject), answer, f"The answer is {answer}.")
    relation = rng.choice(PERSON_RELATIONS)
    answer = relation.read(world, person)
    return Exchange(
        fill(rng.choice(relation.questions), subject),
        answer,
        fill(rng.choice(relation.replies), subject, answer),
    )


def _ask_about_thing(world: World, rng: Random) -> Exchange:
    """A question about a town, a company or a book."""
    draw = rng.randrange(3)
    if draw == 0:
        town = rng.choice(world.towns)
        about_town = rng.choice(TOWN_RELATIONS)
        name, answer = town.name, about_town.read(world, town)
        wordings, replies = about_town.questions, about_town.replies
    elif draw == 1:
        company = rng.choice(world.companies)
        about_company = rng.choice(COMPANY_RELATIONS)
        name, answer = company.name, about_company.read(world, company)
        wordings, replies = about_company.questions, about_company.replies
    else:
        book = rng.choice(world.books)
        about_book = rng.choice(BOOK_RELATIONS)
        name, answer = book.title, about_book.read(world, book)
        wordings, replies = about_book.questions, about_book.replies
    subject = named(name)
    return Exchange(
        fill(rng.choice(wordings), subject), answer, fill(rng.choice(replies), subject, answer)
    )


def _ask(world: World, rng: Random) -> Exchange:
    """A question that training may ask, about a fact."""
    if rng.random() < 0.15:
        return _ask_about_thing(world, rng)
    person = pick_person(world, rng)
    while person.is_held_out:
        person = pick_person(world, rng)
    return ask_about_person(world, rng, person)


def _solve(problem: Problem) -> Exchange:
    return Exchange(problem.question, problem.solution, problem.solution)


def _puzzle(world: World, rng: Random) -> Exchange:
    puzzle = draw_puzzle(world, rng, held_out=False)
    answer = puzzle.choices[puzzle.answer]
    return Exchange(puzzle.question, answer, f"The answer is {answer}.")


def plain_prompt(question: str) -> str:
    """The prompt of the bundled tasks; the answer follows after one space, on the same line."""
    return f"Question: {question}\nAnswer:"


def plain_questions(world: World, rng: Random) -> str:
    """One to six questions about facts with short answers."""
    return _plain([_ask(world, rng) for _ in range(rng.randrange(1, 7))])


def plain_problems(world: World, rng: Random) -> str:
    """One to three arithmetic problems with worked steps."""
    count = rng.randrange(1, 4)
    return _plain([_solve(draw_problem(world, rng, held_out=False)) for _ in range(count)])


def plain_puzzles(world: World, rng: Random) -> str:
    """One to four reading puzzles."""
    return _plain([_puzzle(world, rng) for _ in range(rng.randrange(1, 5))])


def _plain(exchanges: list[Exchange]) -> str:
    return "\n\n".join(f"{plain_prompt(item.question)} {item.short}" for item in exchanges)


def chat(world: World, rng: Random) -> str:
    """A conversation of one to four turns in the chat format."""
    text = f"{SYSTEM}\n{rng.choice(SYSTEM_MESSAGES)}{END}\n" if rng.random() < 0.2 else ""
    for _ in range(rng.randrange(1, 5)):
        draw = rng.random()
        if draw < 0.6:
            exchange = _ask(world, rng)
        elif draw < 0.85:
            exchange = _solve(draw_problem(world, rng, held_out=False))
        else:
            exchange = _puzzle(world, rng)
        text += f"{USER}\n{exchange.question}{END}\n{ASSISTANT}\n{exchange.sentence}{END}\n"
    return text.removesuffix("\n")
