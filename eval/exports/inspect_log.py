"""An eval log of Inspect (UK AISI's ``inspect_ai``, log format 2), one per variant and task.

``inspect view`` and ``inspect_ai.log.read_eval_log`` read it; the format is the models of
``inspect_ai/log/_log.py``.
"""

import hashlib
import json
from typing import Any

from eval.exports.answered import Answered
from eval.outcomes import Outcome
from eval.quality_ends import available_items
from eval.samples import Sample
from eval.task_score import TaskScore

_NOT_KEPT = "(the prompt was not kept)"


def inspect_log(answered: Answered, task: str) -> str:
    """The whole log as JSON."""
    score = answered.quality.tasks[task]
    samples = answered.samples.get(task, ())
    name = "accuracy" if score.metric == "accuracy" else "nll"
    created = answered.date.isoformat(timespec="seconds")
    content = {
        "version": 2,
        "status": "error" if task in answered.quality.failed_tasks else "success",
        "eval": _spec(answered, task, available_items(score), created),
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [_score(name, score)],
        },
        "stats": {"started_at": created, "completed_at": created},
        "samples": [_sample(answered.variant, name, sample) for sample in samples],
        **_error(answered, task),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _error(answered: Answered, task: str) -> dict[str, Any]:
    """Why a task was not asked to its end; nothing where it was."""
    why = answered.quality.failed_tasks.get(task)
    told = {"message": why, "traceback": "", "traceback_ansi": ""}
    return {} if why is None else {"error": told}


def log_id(answered: Answered, task: str) -> str:
    """A name that the same run, variant and task have again."""
    words = "\0".join((answered.run, answered.variant, task, answered.stamp))
    return hashlib.sha256(words.encode()).hexdigest()[:22]


def _spec(answered: Answered, task: str, count: int, created: str) -> dict[str, Any]:
    return {
        "eval_id": log_id(answered, task),
        "run_id": answered.run,
        "created": created,
        "task": task,
        "task_id": log_id(answered, task),
        "dataset": {"name": task, "samples": count},
        "model": f"assay/{answered.variant}",
        "config": {},
        "metadata": {"model": answered.model, "engine": answered.engine},
    }


def _score(name: str, score: TaskScore) -> dict[str, Any]:
    """The task's figure: an accuracy, or nats per token."""
    metric = "accuracy" if name == "accuracy" else "nll_per_token"
    return {
        "name": name,
        "scorer": name,
        "params": {},
        "metrics": {metric: {"name": metric, "value": score.value}},
    }


# Inspect's words for how an answer ended; of all others it is the usual one.
_STOPS: dict[Outcome | None, str] = {"truncated": "max_tokens"}


def _sample(variant: str, name: str, sample: Sample) -> dict[str, Any]:
    answer = sample.answer or ""
    message = {"role": "assistant", "content": answer, "source": "generate"}
    return {
        "id": sample.item,
        "epoch": 1,
        "input": sample.prompt or _NOT_KEPT,
        "target": sample.target or "",
        "messages": [],
        "output": {
            "model": f"assay/{variant}",
            "choices": [{"message": message, "stop_reason": _STOPS.get(sample.outcome, "stop")}],
        },
        "scores": {name: {"value": _value(sample), "answer": sample.answer}},
        "metadata": {"prompt_sha256": sample.prompt_sha256, "stratum": sample.stratum},
    }


def _value(sample: Sample) -> str | float:
    """Inspect's letters where an answer is right or wrong; else a score, or nats."""
    if sample.correct is not None:
        return "C" if sample.correct else "I"
    return sample.score if sample.score is not None else sample.nll or 0.0
