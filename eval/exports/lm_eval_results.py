"""Results as lm-eval writes them (0.4.13, ``loggers/evaluation_tracker.py``): its own names.

``results_<date>.json`` and ``samples_<task>_<date>.jsonl`` of one model each, read by whatever
reads lm-eval's. Of a prompt its end is kept, and of a document nothing else, so the hashes of
documents and targets are left out; figures whose items are not kept have no standard error ("N/A"),
nor have those of questions that were asked until something was decided. ``n-samples`` tells how
many the plan would have asked, and how many were.
"""

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from eval.exports.answered import Answered, accuracy_name, own_figures
from eval.quality_ends import available_items
from eval.samples import Sample
from eval.task_score import TaskScore


def results_file(answered: Answered) -> str:
    """``results_<date>.json``."""
    tasks = answered.quality.tasks
    shots = answered.asked.get("num_fewshot")
    limit = answered.asked.get("limit")
    content = {
        "results": {task: _results(answered, task) for task in tasks},
        "group_subtasks": {},
        "configs": {task: {"task": task, "num_fewshot": shots} for task in tasks},
        "versions": dict.fromkeys(tasks, "Yaml"),
        "n-shot": dict.fromkeys(tasks, shots or 0),
        "higher_is_better": {task: _directions(score) for task, score in tasks.items()},
        "n-samples": {
            task: {"original": available_items(score), "effective": score.items}
            for task, score in tasks.items()
        },
        "config": {
            "model": "local-completions",
            "model_args": {"model": answered.variant, "engine": answered.engine},
            "limit": limit,
            "num_fewshot": shots,
            "bootstrap_iters": 0,
        },
        "git_hash": answered.git_revision,
        "date": answered.date.timestamp(),
        "lm_eval_version": version("lm-eval"),
        "model_source": "local-completions",
        "model_name": answered.variant,
        "model_name_sanitized": answered.variant,
        "total_evaluation_time_seconds": str(answered.quality.seconds),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _results(answered: Answered, task: str) -> dict[str, Any]:
    score = answered.quality.tasks[task]
    found: dict[str, Any] = {"alias": task}
    for name, value in own_figures(score).items():
        found[name] = int(value) if name == "sample_len" else value
        metric, comma, answer_filter = name.partition(",")
        if comma:
            kept = name == accuracy_name(score) and not answered.quality.anytime
            error = _standard_error(answered.samples.get(task, ()), kept)
            found[f"{metric}_stderr,{answer_filter}"] = error
    return found


def _standard_error(samples: Sequence[Sample], kept: bool) -> float | str:
    """lm-eval's ``mean_stderr``: the sample's standard deviation over the root of its size."""
    scores = [sample.score for sample in samples if sample.score is not None]
    if not kept or len(scores) < 2:
        return "N/A"
    mean = math.fsum(scores) / len(scores)
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return math.sqrt(variance / len(scores))


def _directions(score: TaskScore) -> dict[str, bool]:
    names = {name.partition(",")[0] for name in own_figures(score) if "," in name}
    return {name: "perplexity" not in name and "bits_per" not in name for name in sorted(names)}


def samples_file(answered: Answered, task: str) -> str:
    """``samples_<task>_<date>.jsonl``."""
    name = accuracy_name(answered.quality.tasks[task])
    metric, _, answer_filter = (name or "log_likelihood,none").partition(",")
    rows = (_row(sample, metric, answer_filter) for sample in answered.samples.get(task, ()))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _row(sample: Sample, metric: str, answer_filter: str) -> Mapping[str, Any]:
    value = (
        sample.score if sample.score is not None else None if (sample.nll is None) else -sample.nll
    )
    return {
        "doc_id": sample.item,
        "doc": {} if sample.stratum is None else {"kind": sample.stratum},
        "target": str(sample.target),
        "arguments": {"gen_args_0": {"arg_0": sample.prompt}},
        "resps": [[sample.answer]],
        "filtered_resps": [sample.answer],
        "filter": answer_filter,
        "metrics": [metric],
        "prompt_hash": sample.prompt_sha256,
        metric: value,
    }
