"""In a session each prompt begins with all of the one before, and the answer that was given."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from deploy.plan_load import AgentLoad, ChatLoad, SessionLoad
from loadtest.asks import Ask, Turn
from loadtest.closed_loop import ClosedLoop
from loadtest.load_kinds import read_point
from loadtest.prompts import PromptSource
from loadtest.sessions import Agent, Chat, SessionAsks
from loadtest.summary import parts, request_rate
from tests.loadtest.examples import a_record, some_asks, some_prompts

CHAT = ChatLoad.model_validate(
    {
        "kind": "chat",
        "sessions": [3],
        "turns": 3,
        "think_s": 2,
        "prompt_tokens": 20,
        "output_tokens": 4,
    }
)
# The words "2000" to "2099" are the ids 2000 to 2099; no prompt holds any of them.
VOCABULARY = {str(number): number for number in range(2100)}


def prompts(folder: Path) -> PromptSource:
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    source = some_prompts()
    beside = Chat.beside(CHAT, folder, 2048)
    return PromptSource(bos=source.bos, ids=source.ids, starts=source.starts, beside=beside)


@pytest.fixture
def source(tmp_path: Path) -> PromptSource:
    return prompts(tmp_path)


def sessions(source: PromptSource, load: SessionLoad = CHAT, users: int = 3) -> SessionAsks:
    asks = some_asks(Chat(users), load, prompts=source)
    assert isinstance(asks, SessionAsks)
    return asks


def talk(asks: SessionAsks, count: int, *, latency_s: float = 1.0) -> list[tuple[Turn, Ask]]:
    """Turns one after the other, each answered by two words and after a while."""
    told = []
    for _ in range(count):
        turn = asks.take(100.0, 0.0)
        ask = asks.ask(turn)
        assert turn.due_s is not None
        asks.answered(turn, "2001 2002", turn.due_s + latency_s)
        told.append((turn, ask))
    return told


def test_a_turn_is_all_that_was_said_with_the_real_answer_and_something_new(
    source: PromptSource,
) -> None:
    told = [ask for _, ask in talk(sessions(source, users=1), 7)]
    assert [(ask.session, ask.turn) for ask in told[:4]] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert [ask.prompt_tokens for ask in told[:4]] == [20, 42, 64, 20]
    for before, after in ((told[0], told[1]), (told[1], told[2])):
        known = [*before.prompt, 2001, 2002]
        assert list(after.prompt[: len(known)]) == known
    assert len({tuple(ask.prompt[:16]) for ask in told if ask.turn == 0}) == 3


def test_an_answer_is_no_longer_in_the_next_prompt_than_it_was(source: PromptSource) -> None:
    asks = sessions(source, users=1)
    turn = asks.take(0.0, 0.0)
    first = asks.ask(turn)
    asks.answered(turn, " ".join(["2050"] * 9), 1.0)
    assert asks.ask(asks.take(0.0, 0.0)).prompt_tokens == first.prompt_tokens + 4 + 20


def test_agents_share_their_prefix_and_chats_nothing(source: PromptSource) -> None:
    agent = AgentLoad.model_validate(
        {"kind": "agent", "sessions": [3], "shared_prefix_tokens": 64, "prompt_tokens": 20}
    )
    asks = sessions(source, agent)
    asked = [asks.ask(asks.take(100.0, 0.0)) for _ in range(3)]
    assert {ask.prompt_tokens for ask in asked} == {84}
    assert len({tuple(ask.prompt[:64]) for ask in asked}) == 1
    assert len({tuple(ask.prompt[64:80]) for ask in asked}) == 3


def test_users_think_before_a_turn_and_the_same_for_every_variant(source: PromptSource) -> None:
    slow = talk(sessions(source, users=1), 300, latency_s=5.0)
    quick = talk(sessions(source, users=1), 300)
    thought = [turn.due_s - turn.since_s for turn, _ in slow[1:] if turn.due_s is not None]
    again = [turn.due_s - turn.since_s for turn, _ in quick[1:] if turn.due_s is not None]
    assert thought == pytest.approx(again)
    assert np.mean(thought) == pytest.approx(2.0, rel=0.15)
    assert np.std(thought) == pytest.approx(2.0, rel=0.2)
    pairs = pairwise(turn for turn, _ in slow)
    assert all(later.since_s == pytest.approx((turn.due_s or 0) + 5) for turn, later in pairs)


def test_the_first_turns_are_spread_over_a_think_time(source: PromptSource) -> None:
    asks = sessions(source)
    assert [asks.take(100.0, 0.0).due_s for _ in range(3)] == pytest.approx(
        [100, 100.67, 101.33], abs=0.01
    )


def test_a_session_whose_request_failed_is_over(source: PromptSource) -> None:
    asks = sessions(source, users=1)
    turn = asks.take(0.0, 0.0)
    asks.ask(turn)
    asks.answered(turn, None, 1.0)
    assert (asks.ask(asks.take(0.0, 0.0)).session, asks.wants_answers) == (1, True)


def test_sessions_are_told_by_turns_and_their_rate_counts_the_thinking() -> None:
    point = Chat(2)
    records = [
        a_record(
            point=point,
            turn=n % 3,
            session=n // 3,
            scheduled_s=4.0 * n,
            send_s=4.0 * n + 3,
            end_s=4.0 * n + 4,
        )
        for n in range(12)
    ]
    assert [(part.name, part.requests) for part in parts(records)] == [
        ("turn 1", 4),
        ("turn 2", 4),
        ("turn 3", 4),
    ]
    assert request_rate(records).value == pytest.approx(0.5)
    assert Chat(1).full == "1 chat session at once"
    assert (Agent(4).label, Agent(4).certified_as) == ("4 agent sessions", ClosedLoop(4))
    assert read_point("agent:4") == Agent(4)


def test_the_last_turn_must_fit_into_the_context() -> None:
    assert CHAT.longest_request == 3 * 24
    assert json.loads(CHAT.model_dump_json())["turns"] == 3


def test_generators_share_the_sessions(source: PromptSource) -> None:
    parts = [some_asks(Chat(3), CHAT, prompts=source, place=n, places=2) for n in range(2)]
    turns = [parts[0].take(100.0, 0.0), parts[0].take(100.0, 0.0), parts[1].take(100.0, 0.0)]
    whose = (parts[0], parts[0], parts[1])
    asked = [part.ask(turn) for part, turn in zip(whose, turns, strict=True)]
    assert [ask.session for ask in asked] == [0, 2, 1]
    assert len({tuple(ask.prompt[:16]) for ask in asked}) == 3
    assert [turn.due_s for turn in turns] == pytest.approx([100, 101.33, 100.67], abs=0.01)
