from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from eval.answering import Costs, Counting, answering, product, quotient, with_costs
from eval.outcomes import Outcome
from eval.samples import Sample
from loadtest.intervals import Estimate
from tests.eval.run_on_disk import answers

ITEMS = 200
FIXED = Counting(confidence=0.95)
SPEED = Estimate(value=100.0, low=90.0, high=110.0)


def written(tokens: list[int], right: list[bool]) -> list[Sample]:
    found: list[Sample] = []
    for sample, length, good in zip(answers("t", right), tokens, right, strict=True):
        outcome: Outcome = "right" if good else "truncated"
        found.append(replace(sample, output_tokens=length, outcome=outcome))
    return found


RNG = np.random.default_rng(0)
RIGHT = [bool(it) for it in RNG.random(ITEMS) < 0.7]
LENGTHS = RNG.integers(20, 80, ITEMS).tolist()
BASE = written(LENGTHS, RIGHT)


def test_outcomes_are_counted_and_lengths_compared_question_by_question() -> None:
    longer = written([round(1.3 * it) for it in LENGTHS], RIGHT)
    found = answering(longer, list(zip(longer, BASE, strict=True)), FIXED)
    assert found is not None
    assert found.outcomes == {"right": sum(RIGHT), "truncated": ITEMS - sum(RIGHT)}
    assert found.inflation is not None
    assert found.inflation.covers(1.3)
    assert not found.inflation.covers(1.0)
    assert found.inflation_alike == found.inflation
    assert found.tokens_per_right is not None
    total = sum(sample.output_tokens or 0 for sample in longer)
    assert found.tokens_per_right.value == pytest.approx(total / sum(RIGHT))


def test_at_equal_accuracy_only_questions_count_that_both_answer_alike() -> None:
    half = [good if item % 2 else not good for item, good in enumerate(RIGHT)]
    lengths = [it if item % 2 else 10 * it for item, it in enumerate(LENGTHS)]
    mine = written(lengths, half)
    found = answering(mine, list(zip(mine, BASE, strict=True)), FIXED)
    assert found is not None
    assert found.inflation is not None
    assert found.inflation_alike is not None
    assert found.inflation.value > 4
    assert found.inflation_alike.value == pytest.approx(1.0)


def test_choices_have_no_lengths() -> None:
    assert answering(answers("t", RIGHT), [], FIXED) is None


def test_of_answers_that_were_asked_until_something_was_decided_costs_have_no_interval() -> None:
    early = Counting(confidence=0.95, anytime=True)
    found, fixed = answering(BASE, [], early), answering(BASE, [], FIXED)
    assert found is not None
    assert fixed is not None
    assert found.tokens.bounds is not None
    assert fixed.tokens.bounds is not None
    assert found.tokens.bounds[0] < fixed.tokens.bounds[0]
    assert found.tokens.bounds[1] > fixed.tokens.bounds[1]
    told = with_costs(found, Costs(tok_per_s=SPEED, price_per_hour=3.6, joules_per_token=SPEED))
    costs = (told.seconds_per_right, told.price_per_right, told.joules_per_right)
    assert all(it is not None and it.bounds is None for it in costs)


def test_how_far_a_task_was_asked_does_not_decide_what_several_come_to_together() -> None:
    short = [replace(it, task="short", output_tokens=10) for it in BASE[:20]]
    long = [replace(it, task="long", output_tokens=90) for it in BASE]
    shares = {"short": 400 / 20, "long": 400 / ITEMS}
    found = answering([*short, *long], [], Counting(confidence=0.95, anytime=True, shares=shares))
    assert found is not None
    assert found.tokens.value == pytest.approx(50.0)
    assert found.tokens.bounds is None
    assert found.outcomes == Counter(it.outcome for it in [*short, *long])


def test_without_a_right_answer_none_has_a_price() -> None:
    wrong = written(LENGTHS, [False] * ITEMS)
    found = answering(wrong, [], FIXED)
    assert found is not None
    assert found.tokens_per_right is None
    costs = Costs(tok_per_s=SPEED, price_per_hour=3.6, joules_per_token=None)
    assert with_costs(found, costs).price_per_right is None


def test_a_right_answer_costs_its_tokens_over_the_speed_and_the_hours_price() -> None:
    found = answering(BASE, [], FIXED)
    assert found is not None
    assert found.tokens_per_right is not None
    costs = Costs(tok_per_s=SPEED, price_per_hour=3.6, joules_per_token=Estimate(value=2.0))
    told = with_costs(found, costs)
    assert told.seconds_per_right is not None
    assert told.price_per_right is not None
    assert told.joules_per_right is not None
    tokens = found.tokens_per_right.value
    assert told.seconds_per_right.value == pytest.approx(tokens / 100)
    assert told.price_per_right.value == pytest.approx(tokens / 100 / 1000)
    assert told.joules_per_right.value == pytest.approx(2 * tokens)
    assert told.joules_per_right.bounds is None


def test_errors_of_two_figures_add_up_in_squares() -> None:
    exact = Estimate(value=2.0, low=2.0, high=2.0)
    assert quotient(SPEED, exact).bounds == pytest.approx((45.0, 55.0))
    assert product(SPEED, exact).bounds == pytest.approx((180.0, 220.0))
    both = quotient(SPEED, SPEED).bounds
    assert both is not None
    assert both[0] < 90 / 100
    assert both[0] > 90 / 110
