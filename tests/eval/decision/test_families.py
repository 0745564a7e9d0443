import numpy as np
import pytest
from scipy import stats

from eval.decision.families import half_error, holm, holm_limits, shared_confidence


def test_holm_proves_in_order_and_stops_at_the_first_that_is_not() -> None:
    p_values = {"a": 0.03, "b": 0.001, "c": 0.02, "d": 0.9}
    assert holm_limits(p_values, 0.04) == {"b": 0.01, "c": 0.04 / 3, "a": 0.02, "d": 0.04}
    assert holm(p_values, 0.04) == {"b"}
    assert holm({"a": 0.03, "b": 0.001}, 0.04) == {"a", "b"}
    assert holm({}, 0.04) == frozenset()


def test_one_variant_alone_is_tested_at_the_whole_half_of_the_error() -> None:
    assert half_error(0.95) == pytest.approx(0.025)
    assert holm({"a": 0.0249}, half_error(0.95)) == {"a"}
    assert shared_confidence(0.95, 1) == pytest.approx(0.95)
    assert shared_confidence(0.95, 0) == pytest.approx(0.95)


def test_of_ten_that_all_miss_none_passes_but_in_one_run_of_forty() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for scores in rng.standard_normal((4000, 10)):
        p_values = {str(i): float(stats.norm.sf(score)) for i, score in enumerate(scores)}
        wrong += bool(holm(p_values, half_error(0.95)))
    assert wrong / 4000 == pytest.approx(0.025, abs=0.008)


def test_the_one_that_is_best_is_seldom_said_to_be_beaten_whoever_leads() -> None:
    rng = np.random.default_rng(2)
    z = stats.norm.ppf(0.5 + shared_confidence(0.95, 9) / 2)
    beaten = 0
    for scores in rng.standard_normal((4000, 10)):
        leads = int(scores.argmax())
        beaten += leads != 0 and (scores[leads] - scores[0]) / np.sqrt(2) > z
    assert beaten / 4000 < 0.025
