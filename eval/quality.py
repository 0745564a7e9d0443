"""The quality stage: lm-eval's questions, asked through every variant's endpoint.

Every variant gets the same token ids; the baseline is asked twice, because what two passes of the
same weights differ by cannot be blamed on a number format.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.artifacts import source_folder
from deploy.plan import Plan
from eval.decision.needed_items import told_before
from eval.lm_eval_job import Job
from eval.lm_eval_process import QualityError, run_job
from eval.quality_blocks import Blocks
from eval.quality_files import pass_paths, stored_pass
from eval.quality_ground import QuestionsGround
from eval.quality_job import TASKS_DIR, made_from, make_job
from eval.schema import QualityFile
from eval.task_refusals import NEEDS
from eval.turns import Pass, pass_label, quality_passes
from loadtest.endpoint import ReadyHealth
from loadtest.failures import record_failure
from loadtest.readiness import ready_healths
from quantize.jobs.whole_file import write_whole
from quantize.jobs.worker import Worker
from quantize.validity.made_from import key_of, what_changed

Tell = Callable[[str], None]


def _make_pass(
    run_dir: Path,
    job: Job,
    health: ReadyHealth,
    inputs: Mapping[str, str],
    repeat: bool,
    earlier: QualityFile | None,
    tell: Tell,
) -> QualityFile:
    """Ask all tasks of one endpoint once; ``quality.json`` is written last.

    ``earlier`` is the same pass, of which some tasks failed: only those are asked.

    Raises:
        QualityError: no task finished.
    """
    scores, _ = pass_paths(run_dir, job.variant, repeat)
    scores.parent.mkdir(parents=True, exist_ok=True)
    if earlier is None:
        scores.unlink(missing_ok=True)
    else:
        job = job.model_copy(update={"tasks": tuple(earlier.failed_tasks), "keep": True})
    started = time.monotonic()
    answer = run_job(
        job,
        log=scores.with_suffix(".log"),
        cache=run_dir / ".datasets",
        label=pass_label((job.variant, repeat)),
        tell=tell,
    )
    result = QualityFile(
        variant=job.variant,
        inputs_sha256=key_of(inputs),
        made_from=dict(inputs),
        artifact_sha256=health.artifact_sha256,
        engine_version=health.engine_version,
        seconds=time.monotonic() - started + (earlier.seconds if earlier else 0.0),
        tasks={**(earlier.tasks if earlier else {}), **answer.scores},
        refused_tasks={**(earlier.refused_tasks if earlier else {}), **answer.refused},
        failed_tasks=answer.failed,
        agreement=health.agreement,
    )
    write_whole(scores, result.model_dump_json(indent=2))
    return result


def check_tasks(plan: Plan, run_dir: Path, *, tasks_dir: Path = TASKS_DIR, tell: Tell) -> None:
    """Load the plan's tasks, say which cannot be asked of any variant and what the others can tell.

    Raises:
        QualityError: a task is unknown, or none can be asked.
    """
    everything = frozenset().union(*NEEDS.values())
    run_dir.mkdir(parents=True, exist_ok=True)
    job = make_job(
        plan,
        plan.baseline,
        everything,
        plan.serving.url,
        source_folder(plan),
        run_dir / "no-samples",
        tasks_dir,
    )
    answer = run_job(
        job.model_copy(update={"ask": False}),
        log=run_dir / "tasks.log",
        cache=run_dir / ".datasets",
        label="quality.tasks",
        tell=tell,
    )
    compared, blocks = len(plan.variants) - 1, plan.quality.stop_early
    for line in told_before(answer.items, plan.objectives, compared, anytime=blocks):
        tell(line)


def run_quality(
    plan: Plan,
    run_dir: Path,
    *,
    url: str | None = None,
    tasks_dir: Path = TASKS_DIR,
    passes: Sequence[Pass] | None = None,
    compared: int | None = None,
    tell: Tell = print,
) -> Mapping[str, QualityFile]:
    """Ask every variant all tasks, the baseline twice; returns each variant's first pass.

    ``passes`` are those to make, where not all; ``compared`` is how many variants the comparison
    has beside the baseline, where the plan is of some alone. With ``quality.stop_early`` they are
    asked in blocks (``quality_blocks.py``).

    Blocks for minutes. A pass whose inputs have not changed is taken from its files. A variant
    that is not ready or fails is left out, and the others go on; the reason is kept in the run.

    Raises:
        EndpointError: the baseline does not answer or is not ready (before anything is asked).
        QualityError: a task cannot be loaded, or a pass of the baseline failed; names the log.
    """
    address = url or plan.serving.url
    tokenizer = source_folder(plan)

    def fail(variant: str, reason: str) -> None:
        record_failure(run_dir, variant, "quality", reason)
        tell(f"FAILED  {reason}")

    healths = ready_healths(plan, run_dir, address, "quality", fail)
    order = quality_passes(tuple(healths), plan.baseline) if passes is None else passes
    if plan.quality.stop_early:
        ground = QuestionsGround(
            plan=plan,
            run_dir=run_dir,
            address=address,
            tokenizer=tokenizer,
            tasks_dir=tasks_dir,
            healths=healths,
            compared=len(plan.variants) - 1 if compared is None else compared,
            tell=tell,
            fail=fail,
        )
        with Worker() as worker:
            return Blocks(ground, worker).ask([it for it in order if it[0] in healths])
    results: dict[str, QualityFile] = {}
    for name, repeat in (item for item in order if item[0] in healths):
        label = pass_label((name, repeat))
        _, samples = pass_paths(run_dir, name, repeat)
        job = make_job(
            plan, name, healths[name].capabilities, address, tokenizer, samples, tasks_dir
        )
        inputs = made_from(job, healths[name], tokenizer)
        stored = stored_pass(run_dir, name, repeat)
        same = stored is not None and is_whole(stored, inputs)
        if stored is not None and same and not stored.failed_tasks:
            tell(f"{label}: quality is up to date")
            results.setdefault(name, stored)
            continue
        if stored is not None:
            tell(f"{label}: asked again: {_why_again(stored, inputs)}")
        try:
            result = _make_pass(
                run_dir, job, healths[name], inputs, repeat, stored if same else None, tell
            )
        except QualityError as error:
            if name == plan.baseline:
                raise
            fail(name, str(error))
            continue
        results.setdefault(name, result)
    return results


def is_whole(stored: QualityFile, inputs: Mapping[str, str]) -> bool:
    """Whether a pass was asked of these inputs, and not only until it was decided."""
    return stored.inputs_sha256 == key_of(inputs) and not stored.anytime


def _why_again(stored: QualityFile, inputs: Mapping[str, str]) -> str:
    if is_whole(stored, inputs):
        return f"{', '.join(stored.failed_tasks)} failed"
    if stored.inputs_sha256 == key_of(inputs):
        return "it was asked in blocks (quality.stop_early)"
    return what_changed(stored.made_from, inputs)
