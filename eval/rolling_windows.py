"""The log-likelihood of whole texts: windows of token ids, the first after one BOS.

lm-eval's own rolling log-likelihoods put a prefix token before what their tokenizer encodes, and a
tokenizer that adds BOS by itself (Llama's) has put one there already: the model is then asked how
likely BOS is after BOS, and every document costs a token more than it has.
"""

from collections.abc import Callable, Sequence

from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

Window = tuple[None, list[int], list[int]]


def rolling_likelihoods(
    texts: Sequence[list[int]],
    prefix_token: int,
    window_tokens: int,
    score: Callable[[list[Window]], Sequence[tuple[float, bool]]],
) -> list[float]:
    """Log-likelihood in nats of every text, given as ids without special tokens.

    Windows are disjoint, of at most ``window_tokens``, each after one token of context, the first
    after ``prefix_token``; ``score`` is asked for all of them together.
    """
    owners: list[int] = []
    windows: list[Window] = []
    for index, ids in enumerate(texts):
        for window in get_rolling_token_windows(
            token_list=ids, prefix_token=prefix_token, max_seq_len=window_tokens, context_len=1
        ):
            owners.append(index)
            windows.append((None, *make_disjoint_window(window)))
    sums = [0.0] * len(texts)
    for index, (value, _) in zip(owners, score(windows), strict=True):
        sums[index] += value
    return sums
