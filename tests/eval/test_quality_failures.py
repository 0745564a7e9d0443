"""A variant that fails is left out of the quality stage, with its reason; the others go on.

covers: eval/quality.py
"""

from pathlib import Path
from typing import Any

import pytest

import eval.quality as module
from eval.lm_eval_job import Job
from eval.lm_eval_process import Answer, QualityError
from eval.quality import run_quality
from eval.samples import write_samples
from loadtest.failures import read_failures, record_failure
from tests.eval.test_quality import make_plan
from tests.fake_engine import Behaviour, running_engine

NAMES = ("bf16-vllm", "gguf-q8_0", "gguf-q4_k_m")

PLAN = make_plan(*NAMES, tasks=("tiny_words",))


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The variants whose pass breaks off; passes ask nothing here."""
    names: set[str] = set()

    def run_job(job: Job, **_: Any) -> Answer:
        if job.variant in names:
            raise QualityError(f"{job.variant}: the endpoint went away")
        write_samples(Path(job.samples), [])
        return Answer()

    monkeypatch.setattr(module, "run_job", run_job)
    return names


def test_one_that_is_not_ready_and_one_that_breaks_off_leave_the_others(
    breaks: set[str], tmp_path: Path
) -> None:
    breaks.add("gguf-q4_k_m")
    variants = {name: Behaviour() for name in NAMES} | {"gguf-q8_0": Behaviour(state="failed")}
    with running_engine(variants) as fake:
        assert list(run_quality(PLAN, tmp_path, url=fake.url, tell=print)) == ["bf16-vllm"]
    assert "is 'failed'" in read_failures(tmp_path, "gguf-q8_0")["quality"]
    assert read_failures(tmp_path, "gguf-q4_k_m") == {"quality": "the endpoint went away"}
    assert read_failures(tmp_path, "bf16-vllm") == {}


def test_a_reason_is_forgotten_when_the_variant_answers_again(
    breaks: set[str], tmp_path: Path
) -> None:
    assert not breaks
    record_failure(tmp_path, "gguf-q8_0", "deploy", "no room")
    record_failure(tmp_path, "gguf-q8_0", "load test", "all requests failed")
    with running_engine({name: Behaviour() for name in NAMES}) as fake:
        assert len(run_quality(PLAN, tmp_path, url=fake.url, tell=print)) == 3
    assert read_failures(tmp_path, "gguf-q8_0") == {"load test": "all requests failed"}


def test_the_failure_of_the_baseline_ends_the_stage(breaks: set[str], tmp_path: Path) -> None:
    breaks.add("bf16-vllm")
    with (
        running_engine({name: Behaviour() for name in NAMES}) as fake,
        pytest.raises(QualityError, match="bf16-vllm: the endpoint went away"),
    ):
        run_quality(PLAN, tmp_path, url=fake.url, tell=print)
