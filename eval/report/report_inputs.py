"""What the report reads: the files of one run, checked once, and asked by name afterwards."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.plan import Plan, load_plan
from eval.decision.judging import compared_point
from eval.explore.explorer_figures import ExploreError, Figures, read_figures
from eval.report.flip_answers import FlipGroup, read_flips
from eval.schema import (
    ComparisonFile,
    LoadComparison,
    Ranked,
    TaskComparison,
    VariantComparison,
    VerdictFile,
)
from eval.verdict_words import is_emulated, no_signal_words
from loadtest.load_kinds import pick, points_of
from loadtest.load_point import LoadPoint
from loadtest.records import read_records

Model = TypeVar("Model", bound=BaseModel)


class ReportError(ValueError):
    """A run that cannot be reported; the message names the file and what is wrong with it."""


class Environment(BaseModel):
    """``environment.json``. A key that this version does not know is printed, not refused."""

    model_config = ConfigDict(extra="allow", frozen=True)

    cpu: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    gpu: str | None = None
    platform: str | None = None
    python: str | None = None
    git_revision: str | None = None
    versions: dict[str, str | None] = {}
    date: str | None = None


class Stage(BaseModel):
    """The wall time of one stage; ``cached``: nothing had to be done again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    seconds: float
    cached: bool


class StagesFile(BaseModel):
    """``stages.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: list[Stage]


@dataclass(frozen=True, kw_only=True)
class RawData:
    """What lies in a variant's own folder.

    ``unreadable`` maps a file to the reason; ``errors`` counts error texts of all requests.
    """

    requests: int | None
    counted: int | None
    sample_rows: int | None
    errors: dict[str, int]
    pages: tuple[str, ...]
    unreadable: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, read and checked. ``order`` holds every variant's name, best first.

    ``pages`` are Locust's own, one per round of all variants; ``flips`` are the answers that
    changed against the baseline.
    """

    plan: Plan
    plan_text: str
    comparison: ComparisonFile
    verdict: VerdictFile
    environment: Environment | None
    stages: list[Stage] | None
    raw: dict[str, RawData]
    order: tuple[str, ...]
    formats: Figures | None
    pages: tuple[str, ...] = ()
    flips: tuple[FlipGroup, ...] = ()

    @property
    def point(self) -> LoadPoint:
        """The load at which the verdict compares speed."""
        objectives = self.plan.objectives
        planned = pick(points_of(self.plan.load), objectives.load)
        assert planned is not None, "a plan has load points, and compares speed at one of them"
        return compared_point(self.comparison, objectives) or planned

    @property
    def variants(self) -> list[VariantComparison]:
        """Every measured variant, best first."""
        return [v for name in self.order if (v := self.find(name)) is not None]

    @property
    def tasks(self) -> dict[str, str]:
        """Metric by task, in the plan's order; tasks only the results know come last."""
        found = {
            task: result.metric
            for v in self.comparison.variants
            for task, result in v.quality.items()
        }
        ordered = [task for task in self.plan.quality.tasks if task in found]
        return {task: found[task] for task in [*ordered, *(t for t in found if t not in ordered)]}

    def find(self, name: str | None) -> VariantComparison | None:
        """The measured variant of that name."""
        return next((v for v in self.comparison.variants if v.variant == name), None)

    def ranked(self, name: str) -> Ranked | None:
        """The verdict on that variant."""
        return next((r for r in self.verdict.ranking if r.variant == name), None)

    def load_at(self, variant: VariantComparison | None) -> LoadComparison | None:
        """The load figures at the plan's load point, if they count."""
        if variant is None or is_emulated(variant):
            return None
        return variant.load_at(self.point)

    def loads(self, variant: VariantComparison) -> list[LoadComparison]:
        """The load figures that count: none of an engine that only emulates."""
        return [] if is_emulated(variant) else variant.load

    def stress(self, variant: VariantComparison) -> list[LoadComparison]:
        """The loads that decide nothing; none of an engine that only emulates."""
        return [] if is_emulated(variant) else variant.stress

    def is_baseline(self, variant: VariantComparison) -> bool:
        """Whether all others are compared with this one."""
        return variant.variant == self.comparison.baseline

    def margin(self, task: str) -> float:
        """The loss that the plan accepts on that task."""
        results = self.results(task)
        return results[0][1].margin if results else 0.0

    def noise_floor(self, task: str) -> float | None:
        """What two passes of the baseline differ by on that task."""
        floors = [r.noise_floor for _, r in self.results(task) if r.noise_floor is not None]
        return max(floors, default=None)

    def silence(self, task: str) -> str:
        """Why the task proves nothing; empty where it has signal."""
        silent = [r for _, r in self.results(task) if r.no_signal is not None]
        return f"{task}: {no_signal_words(silent[0])}." if silent else ""

    def results(self, task: str) -> list[tuple[VariantComparison, TaskComparison]]:
        """Every variant that answered that task, best first."""
        return [(v, v.quality[task]) for v in self.variants if task in v.quality]

    def why_no_quality(self, variant: VariantComparison, task: str) -> str:
        """The reason that the variant has no score on that task."""
        failed = variant.variant in self.comparison.failed
        unknown = "it failed" if failed else "the run holds no result"
        return variant.refused_tasks.get(task, unknown)

    def why_no_load(self, variant: VariantComparison | None) -> str:
        """The reason that the variant has no figures at the plan's load point."""
        if variant is not None and is_emulated(variant):
            return "emulated, so its speed does not count"
        if variant is not None and variant.load:
            return f"no figures at {self.point.place}"
        if variant is not None and variant.variant in self.comparison.failed:
            return "it failed"
        return "the run holds no load figures"


def read_run(run_dir: Path) -> Run:
    """Read a run's files.

    Raises:
        ReportError: the plan, the comparison or the verdict is missing or malformed. Everything
            else may be missing, and the report says so.
    """
    comparison = _checked(run_dir / "comparison.json", ComparisonFile)
    verdict = _checked(run_dir / "verdict.json", VerdictFile)
    plan_path = run_dir / "plan.yaml"
    if not plan_path.is_file():
        raise ReportError(f"{plan_path}: no such file")
    environment, stages = run_dir / "environment.json", run_dir / "stages.json"
    names = [ranked.variant for ranked in verdict.ranking]
    names += [v.variant for v in comparison.variants]
    return Run(
        plan=load_plan(str(plan_path)),
        plan_text=plan_path.read_text(encoding="utf-8"),
        comparison=comparison,
        verdict=verdict,
        environment=_checked(environment, Environment) if environment.is_file() else None,
        stages=_checked(stages, StagesFile).stages if stages.is_file() else None,
        raw={name: _raw_data(run_dir, name) for name in names},
        order=tuple(dict.fromkeys(names)),
        formats=_figures(run_dir),
        pages=_locust_pages(run_dir),
        flips=read_flips(run_dir, comparison.baseline, list(dict.fromkeys(names))),
    )


def _locust_pages(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(page.name for page in folder.glob("locust-round*.html")))


def _figures(run_dir: Path) -> Figures | None:
    """What the number formats keep of the model, where the explorer has measured it."""
    try:
        return read_figures(run_dir)
    except ExploreError:
        return None


def _checked(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None
    except (ValidationError, json.JSONDecodeError) as error:
        raise ReportError(f"{path}: {error}") from None


def _raw_data(run_dir: Path, variant: str) -> RawData:
    """Look into a variant's folder; a name that is no single path component has none."""
    folder = run_dir / variant
    if variant in {"", ".", ".."} or Path(variant).name != variant or not folder.is_dir():
        return RawData(
            requests=None, counted=None, sample_rows=None, errors={}, pages=(), unreadable={}
        )
    unreadable: dict[str, str] = {}
    requests = counted = sample_rows = None
    errors: Counter[str] = Counter()
    try:
        if (folder / "requests.parquet").is_file():
            records = read_records(folder / "requests.parquet")
            requests, counted = len(records), sum(record.counted for record in records)
            errors.update(record.error for record in records if record.error)
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        unreadable["requests.parquet"] = str(error)
    try:
        if (folder / "samples.parquet").is_file():
            sample_rows = pq.read_metadata(folder / "samples.parquet").num_rows
    except (pa.ArrowException, OSError) as error:
        unreadable["samples.parquet"] = str(error)
    return RawData(
        requests=requests,
        counted=counted,
        sample_rows=sample_rows,
        errors=dict(errors.most_common()),
        pages=_locust_pages(folder),
        unreadable=unreadable,
    )
