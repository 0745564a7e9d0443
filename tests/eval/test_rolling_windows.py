"""Whole texts are scored after one BOS, in windows that leave no token out and count none twice."""

from collections.abc import Sequence

from eval.rolling_windows import Window, rolling_likelihoods

BOS = 1


def test_a_text_is_scored_after_one_bos_and_every_token_once() -> None:
    asked: list[Window] = []

    def score(windows: list[Window]) -> Sequence[tuple[float, bool]]:
        asked.extend(windows)
        return [(-float(sum(target)), False) for _, _, target in windows]

    texts = [[10, 11, 12], [20, 21, 22, 23, 24, 25, 26]]
    sums = rolling_likelihoods(texts, BOS, 4, score)
    assert sums == [-float(sum(ids)) for ids in texts]
    assert [token for _, _, target in asked for token in target] == [*texts[0], *texts[1]]
    assert asked[0] == (None, [BOS], texts[0])
    assert asked[1][1] == [BOS]
    assert all(len(context) + len(target) <= 4 + 1 for _, context, target in asked)


def test_all_windows_of_all_texts_are_asked_together() -> None:
    calls: list[int] = []

    def score(windows: list[Window]) -> Sequence[tuple[float, bool]]:
        calls.append(len(windows))
        return [(0.0, False)] * len(windows)

    assert rolling_likelihoods([[5]] * 3, BOS, 8, score) == [0.0] * 3
    assert calls == [3]
