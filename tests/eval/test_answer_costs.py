"""What an answer costs follows from the rate of answers, and is said in one sentence."""

import pytest

from eval.answer_costs import answer_cost, cost_words
from eval.schema import LoadComparison
from loadtest.intervals import Estimate
from loadtest.load_file import GpuLoad
from tests.eval.report import builders


def level(answers_per_s: float | None, **changes: object) -> LoadComparison:
    found = builders.comparison().variants[0].load[2]
    rate = None if answers_per_s is None else Estimate(value=answers_per_s)
    tokens = Estimate(value=64 * (answers_per_s or 0))
    return found.model_copy(update={"request_per_s": rate, "output_tok_per_s": tokens, **changes})


def test_the_machine_is_busy_for_as_long_as_a_thousand_answers_take() -> None:
    found = answer_cost(level(4.0), price_per_hour=3.6)
    assert found is not None
    assert (found.tokens, found.machine_s) == (64, 250)
    assert found.price == pytest.approx(0.25)
    assert found.joules is None


def test_energy_is_of_all_tokens_of_the_answers() -> None:
    gpu = GpuLoad(
        power_w=500,
        joules_per_output_token=Estimate(value=0.1),
        sm_clock_mhz=None,
        least_sm_clock_mhz=None,
        throttled={},
    )
    found = answer_cost(level(4.0, gpu=gpu), None)
    assert found is not None
    assert found.joules == pytest.approx(6400)
    assert found.price is None


def test_without_a_rate_of_answers_there_is_no_cost() -> None:
    assert answer_cost(level(None), 1.0) is None
    assert answer_cost(level(0.0), 1.0) is None
    assert cost_words(level(None), None, 1.0, "") == ""


def test_the_sentence_names_price_and_baseline_where_they_are_known() -> None:
    mine, theirs = level(4.0), level(2.0)
    assert cost_words(mine, theirs, 3.6, "bf16") == (
        "A thousand answers of 64 tokens at 16 streams take 4.17 min and cost 0.250 "
        "(bf16: 8.33 min and 0.500)."
    )
    assert cost_words(level(40.0), None, None, "") == (
        "A thousand answers of 64 tokens at 16 streams take 25.0 s of this machine; "
        "objectives.price_per_hour would say what that costs."
    )
