"""What is drawn of a row of logits."""

from collections.abc import Callable

import numpy as np
import pytest

from services.server.sampling import SamplingParameters, adjust_logits
from services.server.token_choice import choose_token

RNG = np.random.default_rng(1)
ROW = RNG.standard_normal(1000).astype(np.float32) * 3
# One of every kind of draw, and combinations.
KINDS = [
    SamplingParameters(temperature=0),
    SamplingParameters(),
    SamplingParameters(temperature=0.7, top_p=0.8),
    SamplingParameters(temperature=1.5, top_p=0.3),
    SamplingParameters(top_k=40),
    SamplingParameters(temperature=1.3, top_k=400, top_p=0.5),
    SamplingParameters(min_p=0.05),
    SamplingParameters(temperature=0.8, top_p=0.95, top_k=40, min_p=0.05),
    SamplingParameters(min_p=0.01, top_p=0.6),
]


def probabilities(row: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    weights = np.exp((row - row.max()).astype(np.float64) / temperature)
    return np.asarray(weights / weights.sum())


def always(uniform: float) -> Callable[[], float]:
    return lambda: uniform


def draws(rules: SamplingParameters, row: np.ndarray = ROW, count: int = 4000) -> np.ndarray:
    """Shares of the tokens in many draws."""
    tokens = [choose_token(row, rules, RNG.random) for _ in range(count)]
    return np.bincount(tokens, minlength=len(row)) / count


def expected(row: np.ndarray, rules: SamplingParameters) -> np.ndarray:
    """The distribution by a full sort in float64."""
    if rules.is_greedy:
        return np.asarray(np.arange(len(row)) == row.argmax(), np.float64)
    falling = np.argsort(-row, kind="stable")
    mass = probabilities(row, rules.temperature)[falling]
    mass[mass < rules.min_p * mass[0]] = 0
    mass[rules.top_k or len(row) :] = 0
    before = mass.cumsum() - mass
    mass[before >= rules.top_p * mass.sum()] = 0
    found = np.zeros(len(row))
    found[falling] = mass / mass.sum()
    return found


@pytest.mark.parametrize("rules", KINDS)
@pytest.mark.parametrize("size", [1000, 2048, 5001])
def test_every_kind_of_draw_has_the_distribution_of_a_full_sort(
    rules: SamplingParameters, size: int
) -> None:
    row = RNG.standard_normal(size).astype(np.float32) * 3
    count = 4000
    right = expected(row, rules)
    found = draws(rules, row, count)
    deviation = np.sqrt(right * (1 - right) / count)
    assert (np.abs(found - right) <= 6 * deviation + 2 / count).all()
    assert not found[right == 0].any()


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-300, 1e-40, 1e-6])
def test_temperature_zero_takes_the_likeliest_token(temperature: float) -> None:
    rules = SamplingParameters(temperature=temperature)
    assert choose_token(ROW, rules, always(0.99)) == ROW.argmax()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_draw_from_all_falls_where_the_running_sum_says(temperature: float) -> None:
    row = RNG.standard_normal(10_000).astype(np.float32)
    running = probabilities(row, temperature).cumsum()
    for uniform in RNG.random(300):
        token = choose_token(row, SamplingParameters(temperature=temperature), always(uniform))
        assert running[token] >= uniform * (1 - 1e-5)
        assert running[token - 1] <= uniform * (1 + 1e-5) or token == 0


@pytest.mark.parametrize("rules", KINDS)
def test_the_highest_uniform_takes_a_token_that_is_left(rules: SamplingParameters) -> None:
    token = choose_token(ROW, rules, always(float(np.nextafter(1, 0))))
    assert expected(ROW, rules)[token] > 0 or rules == SamplingParameters()
    assert 0 <= token < len(ROW)


@pytest.mark.parametrize("scale", [0.1, 1, 8])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95, 0.999])
def test_a_nucleus_of_a_large_vocabulary_is_that_of_a_full_sort(scale: float, top_p: float) -> None:
    row = RNG.standard_normal(30_000).astype(np.float32) * np.float32(scale)
    falling = np.argsort(-row, kind="stable")
    mass = probabilities(row)[falling].cumsum()
    lowest = row[falling[int(np.searchsorted(mass, top_p))]]
    rules = SamplingParameters(top_p=top_p)
    drawn = [choose_token(row, rules, RNG.random) for _ in range(300)]
    assert (row[drawn] >= lowest).all()
    assert len(set(drawn)) > 1 or mass[0] >= 0.9 * top_p


@pytest.mark.parametrize("top_p", [0.2, 0.5])
def test_of_equal_tokens_a_nucleus_leaves_those_with_the_lowest_ids(top_p: float) -> None:
    found = draws(SamplingParameters(top_p=top_p), np.zeros(50, np.float32))
    assert set(np.flatnonzero(found)) == set(range(int(50 * top_p)))


def test_of_equal_tokens_top_k_leaves_those_with_the_lowest_ids() -> None:
    found = draws(SamplingParameters(top_k=7), np.zeros(50, np.float32))
    assert set(np.flatnonzero(found)) == set(range(7))


@pytest.mark.parametrize("rules", KINDS)
@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_logits_that_no_model_should_make_end_nothing(
    rules: SamplingParameters, value: float
) -> None:
    """Of all tokens, or of one."""
    for row in (np.full(1000, value, np.float32), np.where(np.arange(1000) == 7, value, ROW)):
        assert 0 <= choose_token(row.astype(np.float32), rules, RNG.random) < 1000


@pytest.mark.parametrize("rules", KINDS)
def test_what_is_impossible_is_never_drawn(rules: SamplingParameters) -> None:
    """Fewer tokens are left than ``top_k`` or a nucleus would keep."""
    row = np.full(1000, -np.inf, np.float32)
    row[[3, 500, 999]] = [1, 0, 1]
    top = always(float(np.nextafter(1, 0)))
    assert {choose_token(row, rules, top), *np.flatnonzero(draws(rules, row, 200))} <= {3, 500, 999}


@pytest.mark.parametrize("rules", [SamplingParameters(), SamplingParameters(top_p=0.99)])
def test_rounding_at_the_end_of_a_block_draws_nothing_impossible(rules: SamplingParameters) -> None:
    """A sum of float32 may exceed that of its parts by a little."""
    top = always(float(np.nextafter(1, 0)))
    for seed in range(50):
        row = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
        row[250:] = -np.inf
        assert choose_token(row, rules, top) < 250


@pytest.mark.parametrize("penalty", [5e-324, 1e-300, 1e-40, 100])
def test_a_token_can_be_drawn_after_any_repetition_penalty(penalty: float) -> None:
    parameters = SamplingParameters(repetition_penalty=penalty)
    adjusted = adjust_logits(ROW, parameters, {}, seen=range(len(ROW)))
    assert ROW[choose_token(adjusted, parameters, always(0.5))] > 0 or penalty == 100
