import json
import random

from services.server.protocol import ChatBody, CompletionBody, parse_body
from tests.benches.fuzz.mutations import (
    BYTE_CHANGES,
    CHAT,
    COMPLETIONS,
    TARGETED,
    mutate,
    valid_bodies,
)


def mutants(count: int, seed: int = 0) -> list[tuple[str, bytes]]:
    rng = random.Random(seed)
    bodies = valid_bodies("v", COMPLETIONS) + valid_bodies("v", CHAT)
    return [mutate(rng.choice(bodies), rng) for _ in range(count)]


def test_what_is_spoilt_was_valid_before() -> None:
    for body in valid_bodies("v", COMPLETIONS):
        assert parse_body(CompletionBody, json.dumps(body).encode()).max_tokens == 2
    for body in valid_bodies("v", CHAT):
        assert parse_body(ChatBody, json.dumps(body).encode()).max_tokens == 2


def test_the_same_seed_spoils_the_same() -> None:
    assert mutants(200) == mutants(200)
    assert mutants(200) != mutants(200, seed=1)


def test_every_field_and_every_way_to_spoil_the_text_comes_up() -> None:
    names = {part for case, _ in mutants(6000) for part in case.split(", ")}
    assert {f"edge of {name}" for name in TARGETED} < names
    assert set(BYTE_CHANGES) < names
    assert {"no prompt", "no messages", "junk within messages", "junk within prompt"} < names


def test_the_tables_and_the_bodies_stay_as_they_were() -> None:
    before = json.dumps(TARGETED, default=str)
    bodies = valid_bodies("v", CHAT)
    mutants(3000)
    assert json.dumps(TARGETED, default=str) == before
    assert valid_bodies("v", CHAT) == bodies
