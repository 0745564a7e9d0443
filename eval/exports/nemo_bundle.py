"""A bundle of NVIDIA's NeMo Evaluator, one per variant and task: ``nel compare`` pairs two of them.

``eval-<task>.json`` and ``results.jsonl`` side by side (NeMo Evaluator 0.3, "Evaluation Result
Format"). Only tasks with right answers have one: its reward is what an item scored.
"""

import json
from collections import defaultdict

from eval.exports.answered import Answered
from eval.paired import is_accuracy, score_estimate
from eval.samples import Sample

# What NeMo Evaluator calls its intervals.
_CONFIDENCE = 0.95


def has_rewards(answered: Answered, task: str) -> bool:
    """Whether the task's items have answers that are right or wrong."""
    samples = answered.samples.get(task, ())
    return bool(samples) and is_accuracy(samples)


def bundle(answered: Answered, task: str) -> str:
    """``eval-<task>.json``."""
    samples = answered.samples[task]
    found = score_estimate(samples, _CONFIDENCE, anytime=answered.quality.anytime)
    parts: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if sample.stratum is not None:
            parts[sample.stratum].append(sample.score or 0.0)
    content = {
        "run_id": f"eval-{answered.stamp}-{answered.variant}",
        "config": {"benchmark": task, "model": answered.variant, "engine": answered.engine},
        "benchmark": {
            "name": task,
            "samples": len(samples),
            "scores": {
                "mean_reward": {
                    "value": found.value,
                    "ci_lower": found.low,
                    "ci_upper": found.high,
                }
            },
            "categories": {
                name: {"mean_reward": sum(scores) / len(scores), "n": len(scores)}
                for name, scores in sorted(parts.items())
            },
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def result_rows(answered: Answered, task: str) -> str:
    """``results.jsonl``: a row per item."""
    rows = (_row(sample) for sample in answered.samples[task])
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _row(sample: Sample) -> dict[str, object]:
    return {
        "problem_idx": sample.item,
        "repeat": 0,
        "reward": sample.score,
        "prompt": sample.prompt,
        "expected_answer": sample.target,
        "model_response": sample.answer,
        "metadata": {} if sample.stratum is None else {"category": sample.stratum},
    }
