"""Writes llm-d's Benchmark Report, version 0.2.1: one file per variant and load point.

The schema is that of ``llmd-benchmark-report`` 0.2.1 on PyPI (llm-d/llm-d-benchmark, folder
benchmark-report, ``schema_v0_2.py``). Its TPOT is ours; it has no place for intervals, so those
stay in ``load.json``. Percentiles that the sample does not certify are left out here too, and its
latencies are those of requests that succeeded: it counts the others beside them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deploy.plan_lengths import FixedLengths, Lengths
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, LevelSummary, LoadFile
from loadtest.load_point import LoadPoint
from loadtest.other_tools.foreign_run import SHARES
from loadtest.records import RequestRecord, read_records
from loadtest.summary import samples_required
from quantize.jobs.whole_file import write_whole

SCHEMA_VERSION = "0.2.1"
TOOL = "assay"
_PLACE = "at"
_DISTRIBUTIONS = {"fixed": "fixed", "uniform": "random", "normal": "gaussian"}


def write_llmd(run: Path, variants: Sequence[str], folder: Path, *, model: str) -> list[Path]:
    """Write a report for every load point of the measured variants of a run; returns their paths.

    ``model`` is the name of the source model. What was not measured, or is void, is left out.
    """
    paths = []
    for variant in variants:
        place = run / variant
        if not (place / LOAD_NAME).is_file():
            continue
        load = LoadFile.model_validate_json((place / LOAD_NAME).read_bytes())
        records = read_records(place / REQUESTS_NAME) if not load.why_void else []
        for stage, level in enumerate(load.levels if records else []):
            mine = [it for it in records if it.counted and it.point == level.point]
            report = llmd_report(load, level, mine, model=model, run=run.name, stage=stage)
            path = folder / f"{variant}-{_PLACE}-{level.point.key.replace(':', '-')}.yaml"
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, yaml.safe_dump(report, sort_keys=False))
            paths.append(path)
    return paths


def llmd_report(
    load: LoadFile,
    level: LevelSummary,
    records: Sequence[RequestRecord],
    *,
    model: str,
    run: str,
    stage: int,
) -> dict[str, Any]:
    """The report of one load point; ``records`` are its counted requests."""
    key = f"{run}/{load.variant}/{level.point.key}"
    return {
        "version": SCHEMA_VERSION,
        "run": {
            "uid": _hash(f"{key}/{load.inputs_sha256}/{load.started_at}"),
            "eid": _hash(run),
            "time": {"start": load.started_at, "duration": f"PT{load.seconds:.3f}S"},
            "description": f"{load.variant} at {level.point.full}",
            "keywords": [load.endpoint.recipe, load.endpoint.engine],
        },
        "scenario": {
            "stack": [_engine(load, model)],
            "load": _load(load, level, records, stage),
        },
        "results": {
            "request_performance": {"aggregate": _aggregate(level, records)},
            **_observed(load, level),
        },
    }


def _engine(load: LoadFile, model: str) -> dict[str, Any]:
    endpoint, gpus = load.endpoint, load.endpoint.gpus
    return {
        "metadata": {"label": load.variant, "cfg_id": endpoint.artifact_sha256},
        "standardized": {
            "kind": "inference_engine",
            "tool": endpoint.engine,
            "tool_version": endpoint.engine_version,
            "role": "replica",
            "replicas": 1,
            "model": {"name": model},
            "accelerator": {
                "model": gpus[0].name if gpus else "none",
                "count": len(gpus),
                "parallelism": {"tp": max(1, len(gpus))},
            },
        },
        "native": {"config": {"recipe": endpoint.recipe}},
    }


def _load(
    load: LoadFile, level: LevelSummary, records: Sequence[RequestRecord], stage: int
) -> dict[str, Any]:
    asked, point = load.load, level.point
    prompts = [record.prompt_tokens for record in records if record.error is None]
    outputs = [record.output_tokens for record in records if record.error is None]
    length = (
        {} if asked.natural_length else {"output_seq_len": _lengths(asked.output_tokens, outputs)}
    )
    return {
        "metadata": {"cfg_id": load.inputs_sha256, "description": point.full},
        "standardized": {
            "tool": TOOL,
            "tool_version": version(TOOL),
            "source": "sampled",
            "stage": stage,
            "input_seq_len": _lengths(asked.prompt_tokens, prompts),
            **length,
            **_amount(point),
        },
        "native": {"config": asked.model_dump(mode="json")},
    }


def _amount(point: LoadPoint) -> dict[str, Any]:
    """How much load it is; nothing of a rate that changes, for which the schema has no word."""
    if not point.counts_from_due:
        return {"concurrency": point.users}
    return {} if point.changes else {"rate_qps": point.amount}


def _aggregate(level: LevelSummary, records: Sequence[RequestRecord]) -> dict[str, Any]:
    good = [record for record in records if record.error is None]
    tokens = sum(record.output_tokens for record in good)
    asked = sum(record.prompt_tokens for record in good)
    output, requests = level.output_tok_per_s.value, level.request_per_s.value
    input_rate = output * asked / tokens if tokens else 0.0
    latency = {
        "time_to_first_token": _statistics("s", [r.ttft_s for r in good]),
        "time_per_output_token": _statistics("s/token", [r.tpot_s for r in good]),
        "normalized_time_per_output_token": _statistics(
            "s/token", [r.e2e_s / r.output_tokens for r in good if r.e2e_s and r.output_tokens]
        ),
        "request_latency": _statistics("s", [r.e2e_s for r in good]),
    }
    lengths = {
        "input_length": _statistics("count", [r.prompt_tokens for r in good]),
        "output_length": _statistics("count", [r.output_tokens for r in good]),
    }
    return {
        "requests": {"total": level.requests, "failures": level.errors, **_told(lengths)},
        "latency": _told(latency),
        "throughput": {
            "input_token_rate": {"units": "tokens/s", "mean": input_rate},
            "output_token_rate": {"units": "tokens/s", "mean": output},
            "total_token_rate": {"units": "tokens/s", "mean": output + input_rate},
            "request_rate": {"units": "queries/s", "mean": requests},
        },
    }


def _observed(load: LoadFile, level: LevelSummary) -> dict[str, Any]:
    """What the machine showed meanwhile; nothing where nothing was watched."""
    found: dict[str, Any] = {}
    if level.gpu is not None:
        found["power_consumption"] = {"units": "Watts", "mean": level.gpu.power_w}
    window = level.server.window if level.server else None
    if window is not None:
        found |= _told(
            {
                "kv_cache_usage": _gauge("fraction", window.kv_used, window.most_kv_used),
                "running_requests": _gauge("count", window.running, window.most_running),
                "waiting_requests": _gauge("count", window.waiting, window.most_waiting),
                "cache_hit_rate": _gauge("fraction", window.reused, None),
            }
        )
        if window.memory_bytes is not None:
            found["cpu_memory_usage"] = {"units": "MiB", "mean": window.memory_bytes / (1 << 20)}
    if not found:
        return {}
    component = {"component_label": load.variant, "aggregate": found}
    return {"observability": {"components": [component]}}


def _gauge(units: str, mean: float | None, most: float | None) -> dict[str, Any] | None:
    if mean is None:
        return None
    return {"units": units, "mean": mean, **({} if most is None else {"max": most})}


def _statistics(units: str, values: Sequence[float | None]) -> dict[str, Any] | None:
    """Mean, spread, ends and the percentiles that so many values certify; None of none."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return None
    certified = {key: q for key, q in SHARES.items() if len(known) >= samples_required(q)}
    found = np.quantile(known, list(certified.values()), method="inverted_cdf")
    return {
        "units": units,
        "mean": float(known.mean()),
        "stddev": float(known.std()),
        "min": float(known.min()),
        **dict(zip(certified, map(float, found), strict=True)),
        "max": float(known.max()),
    }


def _told(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _lengths(lengths: Lengths, measured: Sequence[int]) -> dict[str, Any]:
    """Lengths in the schema's words; those of a distribution that it does not know are "other".

    So are those that were measured, where the plan's are not all there is to a request: a trace has
    its own, sessions and shared prefixes add to them.
    """
    if any(not lengths.least <= length <= lengths.most for length in measured):
        mean = sum(measured) / len(measured)
        told = {"value": mean, "min": min(measured), "max": max(measured)}
        return {"distribution": "other", **told}
    name = _DISTRIBUTIONS.get(lengths.distribution, "other")
    if isinstance(lengths, FixedLengths):
        return {"distribution": name, "value": lengths.most}
    return {
        "distribution": name,
        "value": lengths.average,
        "min": lengths.least,
        "max": lengths.most,
    }
