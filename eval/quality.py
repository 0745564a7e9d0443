"""The quality stage: lm-eval's questions, asked through every variant's endpoint.

Every variant gets the same token ids; the baseline is asked twice, because what two passes of the
same weights differ by cannot be blamed on a number format.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from deploy.plan import Plan
from eval.lm_eval_job import Job
from eval.lm_eval_process import QualityError, run_job
from eval.schema import QualityFile
from loadtest.endpoint import EndpointError, ReadyHealth, read_health
from loadtest.failures import forget_failures, record_failure
from quantize.jobs.whole_file import write_whole
from quantize.source.source_model import TOKENIZER_FILES, resolve_model
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of, what_changed

TASKS_DIR = Path(__file__).parent / "tasks"
# What asks and scores; it is told a ``Job``.
RUNNER = "eval.lm_eval_runner"
_PLACES = {"url", "tokenizer", "tasks_dir", "samples"}
_TASK_FILES = {".yaml", ".yml", ".json", ".jsonl", ".py"}

Tell = Callable[[str], None]


def bundled_tasks(tasks_dir: Path) -> frozenset[str]:
    """The tasks that need no network: ``<task>.yaml`` in our own folder."""
    return frozenset(path.stem for path in tasks_dir.rglob("*.yaml"))


def _hash_files(folder: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        path = folder / name
        if path.is_file():
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def tasks_sha256(tasks: tuple[str, ...], tasks_dir: Path) -> str:
    """Hash of what decides the questions: our task files and data, or lm-eval's version."""
    paths = [path for path in tasks_dir.rglob("*") if path.suffix in _TASK_FILES]
    ours = _hash_files(tasks_dir, [str(path.relative_to(tasks_dir)) for path in paths])
    return hashlib.sha256(json.dumps([tasks, ours, version("lm-eval")]).encode()).hexdigest()


def made_from(
    job: Job, health: ReadyHealth, tokenizer: Path, tasks_dir: Path = TASKS_DIR
) -> dict[str, str]:
    """Everything that decides a variant's answers and their scores."""
    return parts_of(
        asked=job.model_dump(mode="json", exclude=_PLACES),
        tokenizer=_hash_files(tokenizer, list(TOKENIZER_FILES)),
        tasks=tasks_sha256(job.tasks, tasks_dir),
        artifact=health.artifact_sha256,
        engine=health.engine_version,
        code=code_sha256(RUNNER),
    )


def pass_paths(run_dir: Path, variant: str, repeat: bool) -> tuple[Path, Path]:
    """Where one pass keeps its scores and its samples."""
    suffix = "-repeat" if repeat else ""
    folder = run_dir / variant
    return folder / f"quality{suffix}.json", folder / f"samples{suffix}.parquet"


def stored_pass(run_dir: Path, variant: str, repeat: bool) -> QualityFile | None:
    """A finished pass, whatever it was made from; None where there is none that can be read."""
    scores, samples = pass_paths(run_dir, variant, repeat)
    if not scores.is_file() or not samples.is_file():
        return None
    try:
        return QualityFile.model_validate_json(scores.read_bytes())
    except ValidationError:
        return None


def batch_size(plan: Plan) -> int:
    """Prompts per request: all requests together hold twice what the engine runs at once.

    So the engine's batch is full while the next prompts already wait in its queue.
    """
    return max(1, -(-2 * plan.serving.max_sequences // plan.quality.concurrency))


def make_job(
    plan: Plan, health: ReadyHealth, url: str, tokenizer: Path, samples: Path, tasks_dir: Path
) -> Job:
    """What the process of one pass is told."""
    return Job(
        variant=health.variant,
        url=f"{url}/{health.variant}/v1/completions",
        tokenizer=str(tokenizer),
        tasks=plan.quality.tasks,
        tasks_dir=str(tasks_dir),
        bundled_only=set(plan.quality.tasks) <= bundled_tasks(tasks_dir),
        limit=plan.quality.limit,
        concurrency=plan.quality.concurrency,
        batch_size=batch_size(plan),
        context_length=plan.serving.context_length,
        request_timeout_s=plan.serving.request_timeout_s,
        capabilities=tuple(sorted(health.capabilities)),
        samples=str(samples),
    )


def _make_pass(
    run_dir: Path,
    job: Job,
    health: ReadyHealth,
    inputs: Mapping[str, str],
    repeat: bool,
    tell: Tell,
) -> QualityFile:
    """Ask all tasks of one endpoint once; ``quality.json`` is written last.

    Raises:
        QualityError: the pass did not finish.
    """
    scores, _ = pass_paths(run_dir, job.variant, repeat)
    scores.parent.mkdir(parents=True, exist_ok=True)
    scores.unlink(missing_ok=True)
    started = time.monotonic()
    answer = run_job(
        job,
        log=scores.with_suffix(".log"),
        cache=run_dir / ".datasets",
        label=f"{job.variant} (repeat)" if repeat else job.variant,
        tell=tell,
    )
    result = QualityFile(
        variant=job.variant,
        inputs_sha256=key_of(inputs),
        made_from=dict(inputs),
        artifact_sha256=health.artifact_sha256,
        engine_version=health.engine_version,
        seconds=time.monotonic() - started,
        tasks=answer.scores,
        refused_tasks=answer.refused,
    )
    write_whole(scores, result.model_dump_json(indent=2))
    return result


def run_quality(
    plan: Plan,
    run_dir: Path,
    *,
    url: str | None = None,
    tasks_dir: Path = TASKS_DIR,
    tell: Tell = print,
) -> Mapping[str, QualityFile]:
    """Ask every variant all tasks, the baseline twice; returns each variant's first pass.

    Blocks for minutes. A pass whose inputs have not changed is taken from its files. A variant
    that is not ready or fails is left out, and the others go on; the reason is kept in the run.

    Raises:
        EndpointError: the baseline does not answer or is not ready (before anything is asked).
        QualityError: a task cannot be loaded, or a pass of the baseline failed; names the log.
    """
    address = url or plan.serving.url
    tokenizer = resolve_model(plan.model)
    healths = _healths(plan, run_dir, address, tell)
    others = [name for name in healths if name != plan.baseline]
    # The two passes of the baseline enclose the others: a drift of the machine counts as noise.
    order = [(plan.baseline, False), *((name, False) for name in others), (plan.baseline, True)]
    results: dict[str, QualityFile] = {}
    for name, repeat in order:
        label = f"{name} (repeat)" if repeat else name
        _, samples = pass_paths(run_dir, name, repeat)
        job = make_job(plan, healths[name], address, tokenizer, samples, tasks_dir)
        inputs = made_from(job, healths[name], tokenizer, tasks_dir)
        result = stored_pass(run_dir, name, repeat)
        if result is not None and result.inputs_sha256 == key_of(inputs):
            tell(f"{label}: quality is up to date")
        else:
            if result is not None:
                tell(f"{label}: asked again: {what_changed(result.made_from, inputs)}")
            try:
                result = _make_pass(run_dir, job, healths[name], inputs, repeat, tell)
            except QualityError as error:
                if name == plan.baseline:
                    raise
                _fail(run_dir, name, str(error), tell)
                continue
        results.setdefault(name, result)
    return results


def _healths(plan: Plan, run_dir: Path, url: str, tell: Tell) -> dict[str, ReadyHealth]:
    """What the variants' health routes say, the baseline's first; others may be missing."""
    healths: dict[str, ReadyHealth] = {}
    for name in sorted(plan.variants, key=lambda name: name != plan.baseline):
        try:
            healths[name] = read_health(url, name)
        except EndpointError as error:
            if name == plan.baseline:
                raise
            _fail(run_dir, name, str(error), tell)
        else:
            # It is served, so whatever kept it from being served is past.
            forget_failures(run_dir, [name], "quantize", "deploy", "quality")
    return healths


def _fail(run_dir: Path, variant: str, reason: str, tell: Tell) -> None:
    record_failure(run_dir, variant, "quality", reason)
    tell(f"FAILED  {reason}")
