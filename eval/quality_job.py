"""What one pass of questions is told, and everything that decides its answers."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from deploy.plan import Plan
from eval.lm_eval_job import Job
from eval.suite.offered import SUITE
from loadtest.endpoint import ReadyHealth
from quantize.source.reading import TOKENIZER_FILES
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import parts_of

TASKS_DIR = Path(__file__).parent / "tasks"
# What asks and scores; it is told a ``Job``.
RUNNER = "eval.lm_eval_runner"
_PLACES = {"url", "tokenizer", "tasks_dirs", "samples", "keep", "span", "spans"}
_TASK_FILES = {".yaml", ".yml", ".json", ".jsonl", ".py", ".tsv"}
# What draws the items of the suite; its task files name it.
SUITE_DIR = Path(__file__).parent / "suite"


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


def tasks_sha256(tasks: tuple[str, ...], folders: Sequence[Path]) -> str:
    """Hash of what decides the questions: task files and data here, or lm-eval's version."""
    found = []
    for folder in [*folders, *([SUITE_DIR] if SUITE.intersection(tasks) else [])]:
        paths = [path for path in folder.rglob("*") if path.suffix in _TASK_FILES]
        found.append(_hash_files(folder, [str(path.relative_to(folder)) for path in paths]))
    return hashlib.sha256(json.dumps([tasks, *found, version("lm-eval")]).encode()).hexdigest()


def task_folders(plan: Plan, tasks_dir: Path) -> list[Path]:
    """Ours, and the user's."""
    own = plan.quality.include_path
    return [tasks_dir, *([Path(own).expanduser()] if own else [])]


def made_from(job: Job, health: ReadyHealth, tokenizer: Path) -> dict[str, str]:
    """Everything that decides a variant's answers and their scores."""
    return parts_of(
        asked=job.model_dump(mode="json", exclude=_PLACES),
        tokenizer=_hash_files(tokenizer, list(TOKENIZER_FILES)),
        tasks=tasks_sha256(job.tasks, [Path(folder) for folder in job.tasks_dirs]),
        artifact=health.artifact_sha256,
        engine=health.engine_version,
        code=code_sha256(RUNNER),
    )


def batch_size(plan: Plan) -> int:
    """Prompts per request: all requests together hold twice what the engine runs at once.

    So the engine's batch is full while the next prompts already wait in its queue.
    """
    return max(1, -(-2 * plan.serving.max_sequences // plan.quality.concurrency))


def make_job(
    plan: Plan,
    variant: str,
    capabilities: Iterable[str],
    url: str,
    tokenizer: Path,
    samples: Path,
    tasks_dir: Path,
) -> Job:
    """What the process of one pass is told."""
    return Job(
        variant=variant,
        url=f"{url}/{variant}/v1/completions",
        tokenizer=str(tokenizer),
        tasks=plan.quality.tasks,
        tasks_dirs=tuple(str(folder) for folder in task_folders(plan, tasks_dir)),
        bundled_only=set(plan.quality.tasks) <= bundled_tasks(tasks_dir),
        limit=plan.quality.limit,
        num_fewshot=plan.quality.num_fewshot,
        apply_chat_template=plan.quality.apply_chat_template,
        seed=plan.quality.seed,
        concurrency=plan.quality.concurrency,
        batch_size=batch_size(plan),
        context_length=plan.serving.context_length,
        request_timeout_s=plan.serving.request_timeout_s,
        capabilities=tuple(sorted(capabilities)),
        samples=str(samples),
    )
