"""One pass of questions through lm-eval and of texts, at a server that runs for it alone."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eval.divergence.asked_texts import AskedText
from eval.divergence.asking import Target, score_texts
from eval.divergence.scored_tokens import ScoredTokens
from eval.lm_eval_job import Job
from eval.lm_eval_process import run_job
from eval.samples import Sample, read_samples
from quantize.jobs.environment import python_of
from quantize.root import ROOT
from services.engines.spec import CAPABILITIES
from tests.benches.evidence.planted_defects import Defect
from tests.benches.evidence.relay import Relay, listening
from tests.benches.harness.bench_run import BenchRun

TASK = "bench_words_chat"
TASKS_DIR = Path(__file__).parent / "tasks"
KEY, NAME = "bench", "planted"
CONTEXT_LENGTH, STREAMS, CONCURRENCY, THREADS = 1024, 16, 4, 2
# The environment of each backend.
_HOMES = {"llamacpp": "llamacpp", "transformers": "quantize"}
_READY = re.compile(r"ready: (http://\S+)")
_STOP_S, TIMEOUT_S = 20.0, 120.0


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What one pass brought: the samples of the task, and the scored texts."""

    samples: Sequence[Sample]
    scored: ScoredTokens


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What every pass asks; ``tokenizer`` is the model's folder, ``items`` those of the task."""

    tokenizer: Path
    texts: Sequence[AskedText]
    items: int
    scratch: Path


@contextmanager
def serving(artifact: Path, backend: str = "llamacpp") -> Iterator[str]:
    """Our server on an artifact, without the proofs that would refuse a planted one.

    Raises:
        RuntimeError: it does not start.
    """
    command = [
        *(str(python_of(_HOMES[backend])), "-m", "services.server", "--backend", backend),
        *("--model", str(artifact), "--served-name", NAME, "--threads", str(THREADS)),
        *("--context-length", str(CONTEXT_LENGTH), "--max-sequences", str(STREAMS)),
    ]
    environment = {**os.environ, "ASSAY_ENGINE_KEY": KEY}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            ready = _READY.match(process.stdout.readline())
            if ready is None:
                raise RuntimeError(f"the server did not start on {artifact}")
            yield ready[1]
        finally:
            process.terminate()
            process.wait(timeout=_STOP_S)


def ask(run: BenchRun, questions: Questions, artifact: Path, defect: Defect, name: str) -> Pass:
    """Serve an artifact, with what the defect changes on the way, and ask everything.

    Raises:
        RuntimeError, ValueError: the server does not start, or does not answer.
    """
    with serving(artifact) as url:
        headers = {"authorization": f"Bearer {KEY}"}
        relay = Relay(url=url, headers=headers, asked=defect.asked, answered=defect.answered)
        with listening(relay) as address:
            return _asked(run, questions, f"{address}/v1/completions", name)


def _asked(run: BenchRun, questions: Questions, url: str, name: str) -> Pass:
    place = questions.scratch / re.sub(r"[^a-z0-9]+", "-", name.lower())
    job = Job(
        variant=NAME,
        url=url,
        tokenizer=str(questions.tokenizer),
        tasks=(TASK,),
        tasks_dirs=(str(TASKS_DIR),),
        bundled_only=True,
        limit=questions.items,
        apply_chat_template=True,
        concurrency=CONCURRENCY,
        batch_size=STREAMS // CONCURRENCY,
        context_length=CONTEXT_LENGTH,
        request_timeout_s=TIMEOUT_S,
        capabilities=tuple(sorted(CAPABILITIES)),
        samples=str(place.with_suffix(".parquet")),
    )
    cache = questions.scratch / "cache"
    run_job(job, log=place.with_suffix(".log"), cache=cache, label=name, tell=run.say)
    target = Target(variant=NAME, url=url, headers={}, concurrency=CONCURRENCY, timeout_s=TIMEOUT_S)
    samples = read_samples(Path(job.samples))
    return Pass(samples=samples, scored=score_texts(target, questions.texts))
