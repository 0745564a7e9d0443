"""The world and its documents are the same everywhere, and questions keep to their side."""

import hashlib
from itertools import islice, pairwise
from pathlib import Path

import pytest

import quantize.reference_model.world
from quantize.reference_model import corpus, questions
from quantize.reference_model.world import PEOPLE, World, build_world
from quantize.root import ROOT


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


def test_the_package_is_the_one_in_this_repository() -> None:
    assert Path(quantize.reference_model.world.__file__).is_relative_to(ROOT)


def test_generated_text_has_the_pinned_hash_on_every_machine(world: World) -> None:
    text = "\0".join(islice(corpus.documents(world, "pinned"), 500))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "dd3dcc8e8fd7acdadc0a5ae26f405a814c599ad59c7a31472a204a0702a57cd1"


def test_another_seed_makes_another_world(world: World) -> None:
    assert build_world(1).people[0].name != world.people[0].name


def test_every_name_belongs_to_one_person(world: World) -> None:
    assert len({(person.name, person.female) for person in world.people}) == PEOPLE


def test_documents_are_printable_english_without_unfilled_slots(world: World) -> None:
    for text in islice(corpus.documents(world, "printable"), 1000):
        assert text.isascii()
        assert "{" not in text
        assert "  " not in text
        assert text == text.strip()


def test_streams_of_different_names_share_no_long_document(world: World) -> None:
    first, second = (
        {text for text in islice(corpus.documents(world, name), 3000) if len(text.split()) > 60}
        for name in ("training 1/0", "evaluation text")
    )
    assert first
    assert not first & second


def test_training_never_asks_about_held_out_people(world: World) -> None:
    held_out = {person.name for person in world.people if person.is_held_out}
    exercises = ((questions.plain_questions, 1), (questions.chat, 1))
    asked = 0
    for text in islice(corpus.documents(world, "asked", exercises), 1500):
        for line in text.split("\n"):
            words = line.removesuffix(questions.END).rstrip("?").replace("'s", "").split()
            if not line.endswith(("?", "?" + questions.END)):
                continue
            asked += 1
            names = {" ".join(pair) for pair in pairwise(words)}
            assert not names & held_out, line
    assert asked > 2000
