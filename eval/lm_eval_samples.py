"""From lm-eval's logged samples to our rows and scores: pure functions over its plain data.

lm-eval's names are kept in ``details``; the one score that is compared is ``accuracy`` (from
``acc``, ``exact_match`` and their kin) or ``nll_per_token`` (from the log-likelihoods of whole
documents, independent of how a task counts words).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eval.lm_eval_answers import Written
from eval.outcomes import outcome_of
from eval.samples import Sample
from eval.task_score import TaskScore

Row = Mapping[str, Any]
CountTokens = Callable[[str, str], int]
"""How many tokens a continuation has after a context: ``count(context, continuation)``."""

ACCURACY_METRICS = ("acc", "exact_match", "em", "pass@1", "acc_norm")
ROLLING = "loglikelihood_rolling"
# Letters of a prompt that are kept: the question, which stands at its end, without its examples.
KEPT_PROMPT = 600
# lm-eval's own limit of an answer for an endpoint, where the task has none.
DEFAULT_ANSWER = 256
_NEARLY = 0.98


class UnsupportedTaskError(ValueError):
    """A task that reports neither an accuracy nor a log-likelihood."""


def first_filter(rows: Sequence[Row]) -> list[Row]:
    """lm-eval logs every item once per answer filter; the task's first filter counts."""
    return [row for row in rows if row["filter"] == rows[0]["filter"]]


def accuracy_metric(task: str, row: Row) -> str:
    """The metric of a task that says whether an item was answered right.

    Raises:
        UnsupportedTaskError: the task reports none of ``ACCURACY_METRICS``.
    """
    for name in ACCURACY_METRICS:
        if name in row["metrics"] and isinstance(row[name], int | float):
            return name
    raise UnsupportedTaskError(
        f"task {task} reports {', '.join(row['metrics'])}, "
        f"none of which is an accuracy ({', '.join(ACCURACY_METRICS)})"
    )


def stratum_of(row: Row) -> str | None:
    """The part of its task that an item belongs to, which our own tasks call its ``kind``."""
    kind = row.get("doc", {}).get("kind")
    return kind if isinstance(kind, str) else None


def _end_of_prompt(row: Row) -> str:
    """The end of what was asked; an ellipsis stands for what is left out."""
    prompt = str(row["arguments"][0][0])
    return prompt if len(prompt) <= KEPT_PROMPT else f"…{prompt[-KEPT_PROMPT:]}"


def rolling_sample(task: str, row: Row, count_tokens: CountTokens) -> Sample:
    """A document of a perplexity task: its whole negative log-likelihood."""
    text = str(row["arguments"][0][0])
    return Sample(
        task=task,
        item=int(row["doc_id"]),
        prompt_sha256=row["prompt_hash"],
        correct=None,
        score=None,
        nll=-float(row["resps"][0][0]),
        tokens=count_tokens("", text),
        bytes=len(text.encode()),
        answer=None,
        target=None,
        stratum=stratum_of(row),
    )


def _choice(row: Row) -> tuple[list[float], list[tuple[str, str]]]:
    """Log-likelihoods and (context, continuation) of an item's choices."""
    logs = [float(answers[0][0]) for answers in row["resps"]]
    arguments = [(str(context), str(text)) for context, text, *_ in row["arguments"]]
    # ``acc_mutual_info`` appends every choice once more without its question.
    count = len(logs) // 2 if "acc_mutual_info" in row["metrics"] else len(logs)
    return logs[:count], arguments[:count]


def _target_index(target: object, continuations: Sequence[str]) -> int | None:
    if isinstance(target, int) and 0 <= target < len(continuations):
        return target
    stripped = [text.strip() for text in continuations]
    return stripped.index(str(target).strip()) if str(target).strip() in stripped else None


def answered_sample(task: str, row: Row, count_tokens: CountTokens) -> Sample:
    """An item with a right answer: chosen by log-likelihood or generated."""
    score = float(row[accuracy_metric(task, row)])
    likelihoods = isinstance(row["resps"][0][0], list | tuple)
    nll, tokens, size, choices = None, None, None, None
    answer: str | None = str(row["filtered_resps"][0])
    target: str | None = str(row["target"])
    written = {} if likelihoods else _written(task, row, score, count_tokens)
    if likelihoods:
        logs, arguments = _choice(row)
        index = _target_index(row["target"], [text for _, text in arguments])
        best = max(range(len(logs)), key=logs.__getitem__)
        choices = len(logs) if len(logs) > 1 else None
        answer = arguments[best][1].strip() if choices else None
        if index is not None:
            context, text = arguments[index]
            nll, tokens, size = -logs[index], count_tokens(context, text), len(text.encode())
            target = text.strip()
    return Sample(
        task=task,
        item=int(row["doc_id"]),
        prompt_sha256=row["prompt_hash"],
        correct=bool(score) if score in (0.0, 1.0) else None,
        score=score,
        nll=nll,
        tokens=tokens,
        bytes=size,
        answer=answer,
        target=target,
        choices=choices,
        stratum=stratum_of(row),
        prompt=_end_of_prompt(row),
        **written,
    )


def _written(task: str, row: Row, score: float, count_tokens: CountTokens) -> dict[str, Any]:
    """The length of a written answer and what became of it; nothing of an unreadable record."""
    text = str(row["resps"][0][0])
    outcome = outcome_of(
        task,
        text,
        right=score >= 1,
        cut=_is_cut(row, count_tokens),
        filtered=str(row["filtered_resps"][0]),
    )
    return {"output_tokens": count_tokens("", text), "outcome": outcome}


def _is_cut(row: Row, count_tokens: CountTokens) -> bool:
    """Whether an answer ended at its limit: as its endpoint said, else by its length.

    Read back from its text, an answer may be told a few tokens shorter than it was written.
    """
    answer, (_, options, *_) = row["resps"][0][0], row["arguments"][0]
    if isinstance(answer, Written) and answer.cut is not None:
        return answer.cut
    most = answer_tokens(options, DEFAULT_ANSWER)
    return count_tokens("", str(answer)) >= _NEARLY * most


def answer_tokens(generation: Mapping[str, Any], default: int) -> int:
    """How long an answer may get."""
    return int(generation.get("max_tokens") or generation.get("max_gen_toks") or default)


def to_samples(
    task: str, output_type: str, rows: Sequence[Row], count_tokens: CountTokens
) -> list[Sample]:
    """All samples of one task.

    Raises:
        UnsupportedTaskError: the task reports neither an accuracy nor a log-likelihood.
    """
    make = rolling_sample if output_type == ROLLING else answered_sample
    return [make(task, row, count_tokens) for row in first_filter(rows)]


def to_score(samples: Sequence[Sample], results: Mapping[str, Any]) -> TaskScore:
    """The score of one task from its samples; lm-eval's own figures go into ``details``."""
    details = {
        key.removesuffix(",none"): float(value)
        for key, value in results.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and "stderr" not in key
    }
    details = {key: value for key, value in details.items() if math.isfinite(value)}
    scores = [sample.score for sample in samples if sample.score is not None]
    if scores:
        return TaskScore(
            metric="accuracy",
            value=math.fsum(scores) / len(scores),
            items=len(samples),
            details=details,
        )
    nll = math.fsum(sample.nll or 0.0 for sample in samples)
    tokens = sum(sample.tokens or 0 for sample in samples)
    return TaskScore(
        metric="nll_per_token",
        value=nll / tokens,
        items=len(samples),
        details={**details, "tokens": float(tokens)},
    )
