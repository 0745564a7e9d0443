"""What a variant answered, as every export wants it; read from a run's files alone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from eval.lm_eval_samples import ACCURACY_METRICS
from eval.quality_files import pass_paths
from eval.samples import Sample, by_task, read_samples
from eval.schema import QualityFile
from eval.task_score import TaskScore
from eval.two_runs.kept_run import KeptRun, KeptRunError

# Of a score's details, those that are ours and not lm-eval's.
_OURS = frozenset({"available_items", "truncated_prompts", "vocabulary", "tokens", "seconds"})
_UNFIT = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One variant's pass over all tasks; ``date`` is when the run began, with its time zone."""

    run: str
    model: str
    variant: str
    engine: str
    date: datetime
    git_revision: str | None
    asked: Mapping[str, object]
    quality: QualityFile
    samples: Mapping[str, Sequence[Sample]]

    @property
    def stamp(self) -> str:
        """The date as it may stand in a file's name."""
        return self.date.isoformat(timespec="seconds").replace(":", "-")


def read_answered(run: KeptRun) -> Iterator[Answered]:
    """Every variant of a run that was questioned.

    Raises:
        KeptRunError: a file of the run is missing or damaged.
    """
    date = run.environment.get("date")
    for variant in run.comparison.variants:
        scores, samples = pass_paths(run.folder, variant.variant, repeat=False)
        # The files of one whose questions failed are of an earlier run, if there are any.
        if not variant.quality or not (scores.is_file() and samples.is_file()):
            continue
        quality = _quality(scores)
        yield Answered(
            run=run.folder.name,
            model=run.comparison.model,
            variant=variant.variant,
            engine=quality.engine_version,
            date=datetime.fromisoformat(date) if date else _changed(scores),
            git_revision=run.environment.get("git_revision"),
            asked=dict(run.plan.get("quality") or {}),
            quality=quality,
            samples=by_task(read_samples(samples)),
        )


def _quality(path: Path) -> QualityFile:
    try:
        return QualityFile.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise KeptRunError(f"{path} is damaged ({error}); repeat `assay eval`") from None


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def own_figures(score: TaskScore) -> dict[str, float]:
    """lm-eval's own figures of a task, by its names with their answer filter (``acc,none``)."""
    return {
        name if "," in name or name == "sample_len" else f"{name},none": value
        for name, value in score.details.items()
        if name not in _OURS
    }


def accuracy_name(score: TaskScore) -> str | None:
    """The figure that says whether items were right, with its filter; None of a likelihood task."""
    named = {name.partition(",")[0]: name for name in own_figures(score)}
    return next((named[metric] for metric in ACCURACY_METRICS if metric in named), None)


def as_file_name(words: str) -> str:
    """Words as a part of a path: whatever else they hold becomes an underscore."""
    return _UNFIT.sub("_", words).strip(".") or "_"
