"""Writes a run's directory for the report to read."""

import json
from pathlib import Path

import yaml

from deploy.plan import load_plan
from eval.schema import ComparisonFile, VerdictFile
from loadtest.closed_loop import ClosedLoop
from loadtest.records import RequestRecord, write_records
from services.variants import VARIANTS

ENVIRONMENT = {
    "cpu": "AMD EPYC 9B45",
    "cores": 2,
    "memory_bytes": 8 << 30,
    "gpu": None,
    "platform": "Linux 6.1 x86_64",
    "python": "3.11.2",
    "git_revision": "dba0b39",
    "versions": {"ray": "2.55.1", "vllm": "0.11.2", "llama-cpp-python": "0.3.16"},
    "date": "2026-11-23T22:41:07+00:00",
}
STAGES = {
    "stages": [
        {"name": "set-up", "seconds": 12.3, "cached": True},
        {"name": "quantize", "seconds": 148.2, "cached": False},
        {"name": "deploy", "seconds": 74.9, "cached": False},
        {"name": "load test", "seconds": 401.7, "cached": False},
        {"name": "quality", "seconds": 688.0, "cached": False},
    ]
}


def write_run(
    directory: Path,
    found: ComparisonFile,
    verdict: VerdictFile,
    *,
    complete: bool = True,
) -> Path:
    """Write a run's files; without ``complete`` only the three that every report needs."""
    directory.mkdir(parents=True, exist_ok=True)
    content = load_plan("cpu-demo").model_dump(mode="json")
    (directory / "plan.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (directory / "comparison.json").write_text(found.model_dump_json(indent=1))
    (directory / "verdict.json").write_text(verdict.model_dump_json(indent=1))
    if complete:
        (directory / "environment.json").write_text(json.dumps(ENVIRONMENT))
        (directory / "stages.json").write_text(json.dumps(STAGES))
        for variant in found.variants:
            if variant.variant in VARIANTS:
                _write_raw(directory / variant.variant, variant.variant)
    return directory


def _write_raw(folder: Path, variant: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "locust-round1.html").write_text("<!doctype html><title>Locust</title>")
    write_records(folder / "requests.parquet", [_record(variant, number) for number in range(9)])


def _record(variant: str, number: int) -> RequestRecord:
    failed = number == 8
    return RequestRecord(
        variant=variant,
        round=1,
        point=ClosedLoop(4),
        request_id=f"r{number}",
        counted=number > 1,
        scheduled_s=number,
        send_s=number,
        first_token_s=None if failed else number + 0.1,
        last_token_s=None if failed else number + 0.9,
        end_s=number + 0.9,
        prompt_tokens=128,
        output_tokens=0 if failed else 64,
        chunks=0 if failed else 64,
        max_gap_s=None if failed else 0.02,
        status=503 if failed else 200,
        error="503 the replica is starting" if failed else None,
    )
