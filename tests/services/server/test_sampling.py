import numpy as np
import pytest

from services.server.sampling import SamplingParameters, adjust_logits, score_tokens

RNG = np.random.default_rng(1)
ROW = RNG.standard_normal(1000).astype(np.float32) * 3


def probabilities(row: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    weights = np.exp(row.astype(np.float64) / temperature)
    return np.asarray(weights / weights.sum())


def test_a_repetition_penalty_makes_what_was_seen_less_likely_whatever_its_sign() -> None:
    high, low = int(ROW.argmax()), int(ROW.argmin())
    adjusted = adjust_logits(ROW, SamplingParameters(repetition_penalty=1.5), {}, seen={high, low})
    assert adjusted[high] == pytest.approx(ROW[high] / 1.5)
    assert adjusted[low] == pytest.approx(ROW[low] * 1.5)
    assert (np.delete(adjusted, [high, low]) == np.delete(ROW, [high, low])).all()


@pytest.mark.parametrize("penalty", [5e-324, 1e-300, 1e-40, 100])
def test_any_repetition_penalty_leaves_logits_finite_and_the_likeliest_first(
    penalty: float,
) -> None:
    parameters = SamplingParameters(repetition_penalty=penalty)
    adjusted = adjust_logits(ROW, parameters, {}, seen=range(len(ROW)))
    assert np.isfinite(adjusted).all()
    likeliest = int(ROW.argmax())
    assert adjusted[likeliest] == adjusted.max()


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
