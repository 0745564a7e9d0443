"""Predictions over a small vocabulary, as an engine tells them."""

import numpy as np
import numpy.typing as npt

from eval.divergence.scored_tokens import NO_TOKEN, TOP, ScoredTokens

Logs = npt.NDArray[np.float64]


def normal(logits: Logs) -> Logs:
    """Log-probabilities ``[tokens, vocabulary]``."""
    found: Logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return found


def told(logs: Logs, chosen: npt.NDArray[np.int64], text: npt.NDArray[np.int64]) -> ScoredTokens:
    """What an engine tells of predictions: the likeliest tokens and the chosen one."""
    tokens, vocabulary = logs.shape
    ids = np.full((tokens, TOP + 1), NO_TOKEN, np.int32)
    top = np.full((tokens, TOP + 1), -np.inf, np.float32)
    for place in range(tokens):
        best = np.argsort(-logs[place])[: min(TOP, vocabulary)].tolist()
        known = [*best, *([int(chosen[place])] if chosen[place] not in best else [])]
        ids[place, : len(known)] = known
        top[place, : len(known)] = logs[place, known]
    return ScoredTokens(
        text=text.astype(np.int32),
        chosen=logs[np.arange(tokens), chosen].astype(np.float32),
        top_ids=ids,
        top=top,
        answers=np.zeros((0, 4), np.int32),
        answer_text=np.zeros(0, np.int32),
    )


def kl(baseline: Logs, variant: Logs) -> Logs:
    """The whole divergence of every token."""
    found: Logs = (np.exp(baseline) * (baseline - variant)).sum(axis=1)
    return found
