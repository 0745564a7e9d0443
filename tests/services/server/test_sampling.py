import numpy as np
import pytest

from services.server.sampling import (
    SamplingParameters,
    adjust_logits,
    choose_token,
    score_tokens,
)

RNG = np.random.default_rng(1)
ROW = RNG.standard_normal(1000).astype(np.float32) * 3


def probabilities(row: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    weights = np.exp(row.astype(np.float64) / temperature)
    return np.asarray(weights / weights.sum())


def draws(parameters: SamplingParameters, count: int = 4000) -> np.ndarray:
    """Draw with evenly spaced uniforms: the empirical distribution without noise."""
    uniforms = (np.arange(count) + 0.5) / count
    tokens = [choose_token(ROW, parameters, float(uniform)) for uniform in uniforms]
    return np.bincount(tokens, minlength=len(ROW)) / count


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-300, 1e-40, 1e-6])
def test_temperature_zero_takes_the_likeliest_token(temperature: float) -> None:
    assert choose_token(ROW, SamplingParameters(temperature=temperature), 0.99) == ROW.argmax()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_at_the_temperature(temperature: float) -> None:
    found = draws(SamplingParameters(temperature=temperature))
    assert np.abs(found - probabilities(ROW, temperature)).max() < 1e-3


def test_top_k_leaves_only_the_k_likeliest() -> None:
    found = draws(SamplingParameters(top_k=5))
    assert set(np.flatnonzero(found)) == set(np.argsort(-ROW)[:5])


def test_top_p_leaves_the_smallest_set_that_reaches_the_mass() -> None:
    order = np.argsort(-ROW)
    size = int(np.searchsorted(probabilities(ROW)[order].cumsum(), 0.6)) + 1
    found = draws(SamplingParameters(top_p=0.6))
    assert set(np.flatnonzero(found)) == set(order[:size])


def test_top_p_is_taken_of_what_top_k_left() -> None:
    five = np.argsort(-ROW)[:5]
    share = np.exp(ROW[five].astype(np.float64))
    size = int(np.searchsorted((share / share.sum()).cumsum(), 0.7)) + 1
    found = draws(SamplingParameters(top_k=5, top_p=0.7))
    assert set(np.flatnonzero(found)) == set(five[:size])


def test_min_p_leaves_what_is_likely_enough_beside_the_likeliest() -> None:
    share = probabilities(ROW, 0.8) / probabilities(ROW, 0.8).max()
    found = draws(SamplingParameters(min_p=0.2, temperature=0.8))
    assert set(np.flatnonzero(found)) == set(np.flatnonzero(share >= 0.2))
    two = np.argsort(-ROW)[:2]
    assert set(np.flatnonzero(draws(SamplingParameters(min_p=0.01, top_k=2)))) == set(two)


def test_a_repetition_penalty_makes_what_was_seen_less_likely_whatever_its_sign() -> None:
    high, low = int(ROW.argmax()), int(ROW.argmin())
    adjusted = adjust_logits(ROW, SamplingParameters(repetition_penalty=1.5), {}, seen={high, low})
    assert adjusted[high] == pytest.approx(ROW[high] / 1.5)
    assert adjusted[low] == pytest.approx(ROW[low] * 1.5)
    assert (np.delete(adjusted, [high, low]) == np.delete(ROW, [high, low])).all()


@pytest.mark.parametrize("penalty", [5e-324, 1e-300, 1e-40, 100])
def test_after_any_repetition_penalty_a_token_can_be_drawn(penalty: float) -> None:
    parameters = SamplingParameters(repetition_penalty=penalty)
    adjusted = adjust_logits(ROW, parameters, {}, seen=range(len(ROW)))
    assert np.isfinite(adjusted).all()
    likeliest = int(ROW.argmax())
    assert adjusted[likeliest] == adjusted.max()
    assert ROW[choose_token(adjusted, parameters, 0.5)] > 0 or penalty == 100


def test_of_equal_tokens_top_k_leaves_those_with_the_lowest_ids() -> None:
    row = np.zeros(50, np.float32)
    tokens = {choose_token(row, SamplingParameters(top_k=7), (i + 0.5) / 100) for i in range(100)}
    assert tokens == set(range(7))


@pytest.mark.parametrize("scale", [0.1, 1, 8])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95, 0.999])
def test_a_nucleus_of_a_large_vocabulary_is_that_of_a_full_sort(scale: float, top_p: float) -> None:
    row = RNG.standard_normal(30_000).astype(np.float32) * np.float32(scale)
    falling = np.argsort(-row, kind="stable")
    mass = np.exp((row - row.max())[falling].astype(np.float64)).cumsum()
    size = int(np.searchsorted(mass, top_p * mass[-1])) + 1
    lowest, last = row[falling[size - 1]], np.nextafter(1, 0)
    drawn = [choose_token(row, SamplingParameters(top_p=top_p), u) for u in RNG.random(300)]
    assert (row[drawn] >= lowest).all()
    assert choose_token(row, SamplingParameters(top_p=top_p), last) == falling[:size].max()


def test_a_draw_over_blocks_falls_where_the_running_sum_says() -> None:
    row = RNG.standard_normal(10_000).astype(np.float32)
    running = np.exp((row - row.max()).astype(np.float64)).cumsum()
    for uniform in RNG.random(500):
        token = choose_token(row, SamplingParameters(), float(uniform))
        wanted = uniform * running[-1]
        assert running[token] >= wanted * (1 - 1e-5)
        assert running[token - 1] <= wanted * (1 + 1e-5) or token == 0


def test_a_wide_nucleus_is_exact_beyond_the_first_guess() -> None:
    flat = np.zeros(5000, np.float32)
    tokens = {
        choose_token(flat, SamplingParameters(top_p=0.5), uniform / 5000) for uniform in range(5000)
    }
    assert tokens == set(range(2500))


def test_the_highest_uniform_stays_inside_the_vocabulary() -> None:
    last = choose_token(ROW, SamplingParameters(), float(np.nextafter(1, 0)))
    assert 0 <= last < len(ROW)


def test_penalties_and_bias_follow_the_openai_formula() -> None:
    parameters = SamplingParameters(
        presence_penalty=0.5, frequency_penalty=0.25, logit_bias={3: 2.0}
    )
    adjusted = adjust_logits(ROW, parameters, {7: 3}, banned=[9])
    assert adjusted[7] == pytest.approx(ROW[7] - 0.5 - 0.75)
    assert adjusted[3] == pytest.approx(ROW[3] + 2)
    assert adjusted[9] == -np.inf
    assert adjusted[11] == ROW[11]


def test_scores_equal_a_float64_log_softmax() -> None:
    logits = RNG.standard_normal((50, 4096)).astype(np.float32) * 5
    tokens = RNG.integers(0, 4096, 50).tolist()
    expected = np.log(np.array([probabilities(row) for row in logits]))
    scores = score_tokens(logits, tokens, 3)
    assert np.abs(scores.chosen - expected[np.arange(50), tokens]).max() < 1e-5
    assert (scores.top_ids == np.argsort(-expected, axis=1)[:, :3]).all()
    assert np.abs(scores.top - np.sort(expected, axis=1)[:, ::-1][:, :3]).max() < 1e-5


def test_the_likeliest_tokens_score_is_the_very_same_number_in_both_places() -> None:
    logits = RNG.standard_normal((20, 512)).astype(np.float32)
    scores = score_tokens(logits, logits.argmax(axis=1).tolist(), 1)
    assert (scores.chosen == scores.top[:, 0]).all()
