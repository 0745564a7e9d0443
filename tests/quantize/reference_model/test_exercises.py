"""Arithmetic problems and reading puzzles are right, and their held-out part stays apart.

covers: quantize/reference_model/arithmetic.py, quantize/reference_model/corpus.py,
quantize/reference_model/dialogues.py, quantize/reference_model/entries.py,
quantize/reference_model/names.py, quantize/reference_model/person_relations.py,
quantize/reference_model/puzzles.py, quantize/reference_model/questions.py,
quantize/reference_model/relations.py, quantize/reference_model/stories.py,
quantize/reference_model/thing_relations.py, quantize/reference_model/word_lists.py
"""

import re
from itertools import islice, pairwise
from random import Random

import pytest

from quantize.reference_model import corpus, questions
from quantize.reference_model.arithmetic import Problem, draw_problem
from quantize.reference_model.puzzles import draw_puzzle
from quantize.reference_model.world import World, build_world

STEP = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)\.")


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def is_true(step: str) -> bool:
    """Whether an equation as written in a worked solution holds."""
    match = STEP.fullmatch(step)
    assert match, step
    left, right, result = int(match[1]), int(match[3]), int(match[4])
    return {
        "+": left + right == result,
        "-": left - right == result >= 0,
        "*": left * right == result,
        "/": left == right * result,
    }[match[2]]


@pytest.fixture(scope="module")
def problems(world: World) -> list[Problem]:
    rng = Random("exercises")
    return [draw_problem(world, rng, held_out=index % 2 == 0) for index in range(3000)]


def test_every_step_of_every_solution_is_true(problems: list[Problem]) -> None:
    assert all(is_true(step) for problem in problems for step in problem.steps)


def test_every_solution_ends_with_the_answer(problems: list[Problem]) -> None:
    for problem in problems:
        assert problem.steps[-1].endswith(f" = {problem.answer}.")
        assert problem.solution.endswith(f" The answer is {problem.answer}.")


def test_every_number_of_a_solution_comes_from_the_question_or_an_earlier_step(
    problems: list[Problem],
) -> None:
    for problem in problems:
        known = set(re.findall(r"\d+", problem.question))
        for step in problem.steps:
            match = STEP.fullmatch(step)
            assert match is not None
            assert {match[1], match[3]} <= known, problem
            known.add(match[4])


def test_training_contains_no_held_out_problem(world: World) -> None:
    exercises = ((questions.plain_problems, 2), (questions.chat, 1))
    trained = "\n".join(islice(corpus.documents(world, "training 1/7", exercises), 4000))
    # A worked solution names the numbers and no people or things.
    solutions = set(re.findall(r"\d+ [-+*/] \d+ = .* The answer is \d+\.", trained))
    assert len(solutions) > 3000
    rng = Random("evaluation words")
    held_out = {draw_problem(world, rng, held_out=True).solution for _ in range(2000)}
    assert not held_out & solutions


def test_the_split_depends_on_kind_and_numbers_alone(problems: list[Problem]) -> None:
    for problem in problems[:200]:
        renamed = Problem(
            kind=problem.kind, numbers=problem.numbers, question="?", steps=(), answer=0
        )
        assert renamed.is_held_out == problem.is_held_out


def test_the_answer_of_an_ordering_puzzle_stands_at_the_asked_end(world: World) -> None:
    rng = Random("puzzles")
    for _ in range(300):
        puzzle = draw_puzzle(world, rng, held_out=False)
        if puzzle.kind != "ordering":
            continue
        above = dict(re.findall(r"(\w+) is \w+ than (\w+)\.", puzzle.question))
        start = next(iter(set(above) - set(above.values())))
        line = [start]
        while line[-1] in above:
            line.append(above[line[-1]])
        assert all(above[a] == b for a, b in pairwise(line))
        word = re.findall(r"Who is the (\w+)\?", puzzle.question)[0]
        wants_top = word in ("oldest", "tallest", "fastest", "richest", "strongest")
        assert puzzle.choices[puzzle.answer] == line[0 if wants_top else -1]


def test_the_answer_of_a_tracking_puzzle_is_where_the_thing_was_last_put(world: World) -> None:
    rng = Random("tracking")
    for _ in range(300):
        puzzle = draw_puzzle(world, rng, held_out=True)
        if puzzle.kind != "tracking":
            continue
        thing = re.findall(r"Where is the (\w+) now", puzzle.question)[0]
        places = re.findall(rf"[Tt]he {thing} (?:was in|to) the (\w+)\.", puzzle.question)
        assert puzzle.choices[puzzle.answer] == places[-1]
