"""What is asked depends on nothing but the plan and the number of a request."""

from collections import Counter

from deploy.plan_load import ClosedLoopLoad
from loadtest.asks import Ask, drawn_share
from loadtest.closed_loop import ClosedLoop
from loadtest.open_loop import ConstantRate
from loadtest.prompts import prompt_number
from tests.loadtest.examples import some_asks

SPREAD = {"distribution": "uniform", "least": 10, "most": 40}


def asked(count: int = 200, **load: object) -> list[Ask]:
    asks = some_asks(ClosedLoop(2), ClosedLoopLoad.model_validate(load))
    return [asks.ask(asks.take(0.0, 0.0)) for _ in range(count)]


def test_lengths_are_drawn_and_kept_to_the_token() -> None:
    found = asked(prompt_tokens=SPREAD, output_tokens=SPREAD)
    for lengths in ([it.prompt_tokens for it in found], [it.output_tokens for it in found]):
        assert (min(lengths), max(lengths)) == (10, 40)
    # The one says nothing of the other.
    assert len({(it.prompt_tokens, it.output_tokens) for it in found}) > 150
    assert found == asked(prompt_tokens=SPREAD, output_tokens=SPREAD)
    assert found != asked(prompt_tokens=SPREAD, output_tokens=SPREAD, seed=1)


def test_a_shared_prefix_comes_before_prompts_that_are_their_own_after_it() -> None:
    found = asked(prompt_tokens=24, shared_prefix_tokens=32, shared_prefixes=3)
    assert {it.prompt_tokens for it in found} == {56}
    assert len({tuple(it.prompt[:32]) for it in found}) == 3
    assert len({tuple(it.prompt[32:48]) for it in found}) == len(found)
    assert len({it.prompt_hash() for it in found}) == len(found)
    plain = asked(prompt_tokens=24)
    assert len({tuple(it.prompt[:16]) for it in plain}) == len(plain)


def test_all_shared_prefixes_come_whatever_numbers_the_prompts_of_a_leg_have() -> None:
    load = ClosedLoopLoad.model_validate({"shared_prefix_tokens": 32, "shared_prefixes": 4})

    def number(index: int) -> int:
        return prompt_number(index=index, round_number=1, rounds=2, level=0, levels=3)

    asks = some_asks(ClosedLoop(2), load, number=number)
    found = [asks.ask(asks.take(0.0, 0.0)) for _ in range(40)]
    met = Counter(tuple(it.prompt[:32]) for it in found)
    assert [*met.values()] == [10] * 4


def test_a_natural_length_is_not_forced() -> None:
    assert {it.exact for it in asked(5)} == {True}
    assert {(it.exact, it.output_tokens) for it in asked(5, natural_length=True)} == {(False, 64)}


def test_the_hash_is_of_the_ids() -> None:
    one, same, other = (Ask(prompt=ids, output_tokens=2) for ids in ([1, 2], [1, 2], [2, 1]))
    assert one.prompt_hash() == same.prompt_hash() != other.prompt_hash()
    assert len(one.prompt_hash()) == 16
    assert (one.packed().prompt_hash(), one.packed().prompt_tokens) == (one.prompt_hash(), 2)


def test_drawn_shares_are_even_and_independent_of_each_other() -> None:
    shares = [drawn_share(0, "prompt", number) for number in range(10_000)]
    counts = Counter(int(10 * share) for share in shares)
    assert all(900 < counts[tenth] < 1100 for tenth in range(10))
    others = [drawn_share(0, "answer", number) for number in range(10_000)]
    mean = sum((a - 0.5) * (b - 0.5) for a, b in zip(shares, others, strict=True)) / 10_000
    assert abs(mean) < 0.003


def test_a_closed_loops_user_is_due_when_it_is_free() -> None:
    asks = some_asks(ClosedLoop(2))
    assert (asks.take(10.0, 3.0).since_s, asks.take(10.0, 12.0).since_s) == (10.0, 12.0)


def test_generators_share_a_schedule_and_the_numbers_of_its_requests() -> None:
    parts = [some_asks(ConstantRate(10.0), place=place, places=3) for place in range(3)]
    turns = [part.take(100.0, 0.0) for _ in range(2) for part in parts]
    alone = some_asks(ConstantRate(10.0))
    assert turns == [alone.take(100.0, 0.0) for _ in range(6)]
    asked = [part.ask(turn) for part, turn in zip([*parts, *parts], turns, strict=True)]
    assert asked == [alone.ask(turn) for turn in turns]
