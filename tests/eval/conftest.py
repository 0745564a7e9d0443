"""The plan and the run that the tests of the comparison share."""

from pathlib import Path

import pytest

import eval.comparison as module
from deploy.plan import Plan
from tests.eval.run_on_disk import (
    BASE,
    MODEL,
    SIZES,
    answers,
    flipped,
    write_load,
    write_manifest,
    write_quality,
)


@pytest.fixture
def tiny_plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(module, "source_model", lambda plan: MODEL)
    return Plan.model_validate(
        {
            "name": "tiny",
            "variants": ["bf16-vllm", "gguf-q8_0"],
            "baseline": "bf16-vllm",
            "load": {"concurrencies": [1], "prompt_tokens": 8, "output_tokens": 10},
            "objectives": {"price_per_hour": 3.6, "slo": {"tpot_s": 0.015}},
        }
    )


@pytest.fixture
def tiny_run(tmp_path: Path) -> Path:
    run = tmp_path / "tiny-1"
    for recipe in SIZES:
        write_manifest(tmp_path / "artifacts", recipe)
    for name, token_s in (("bf16-vllm", 0.02), ("gguf-q8_0", 0.01)):
        (run / name).mkdir(parents=True)
        write_load(run / name, name, token_s)
    write_quality(run / "bf16-vllm", "bf16-vllm", answers("t", BASE))
    write_quality(
        run / "bf16-vllm", "bf16-vllm", answers("t", flipped(BASE, 2, 0)), suffix="-repeat"
    )
    write_quality(
        run / "gguf-q8_0", "gguf-q8_0", answers("t", flipped(BASE, 6, 3)), u="no echo_logprobs"
    )
    return run
