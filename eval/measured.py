"""What one variant left in a run's directory, and the proof that it all belongs together.

The stages are run alone and at different times, so their files may tell of different artifacts or
engines. Such figures are never put side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from deploy.plan_sections import Slo
from eval.quality_files import pass_paths
from eval.samples import Sample, by_task, read_samples
from eval.schema import QualityFile
from loadtest.certificate import Certificate, read_certificate
from loadtest.failures import Stage
from loadtest.intervals import Estimate
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, LoadFile
from loadtest.load_point import LoadPoint
from loadtest.pairing import RoundFigures, ratio, round_figures
from loadtest.rate_search import SloFile, read_slo
from loadtest.records import RequestRecord, read_records
from quantize.artifact.manifest import Manifest
from services.engine.agreement import Agreement

Model = TypeVar("Model", bound=BaseModel)


class ComparisonError(ValueError):
    """A run that cannot be compared yet; the message says which stage to run."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that one variant left in the run's directory; None or empty where missing."""

    manifest: Manifest
    quality: QualityFile | None
    samples: Mapping[str, Sequence[Sample]]
    load: LoadFile | None
    records: Mapping[LoadPoint, Sequence[RequestRecord]]
    certificate: Certificate | None = None
    slo: SloFile | None = None

    @property
    def anytime(self) -> bool:
        """Whether its load test was free to stop early."""
        return self.load is not None and self.load.load.stop_early

    @property
    def agreement(self) -> Agreement | None:
        """With its weights, as it was when it was questioned, or where it was not, loaded."""
        if self.quality is not None:
            return self.quality.agreement
        return None if self.load is None else self.load.endpoint.agreement

    def rounds_at(self, point: LoadPoint, slo: Slo) -> list[RoundFigures]:
        """The figures of each round at a load point that was measured."""
        started = self.load.rounds_at if self.load is not None else {}
        return round_figures(self.records[point], slo, started)


def speed_ratio(
    mine: Sequence[RoundFigures], baseline: Sequence[RoundFigures], *, anytime: bool = False
) -> Estimate:
    """Output throughput over the baseline's; 0 without an interval where a round brought nothing.

    Raises:
        ComparisonError: the baseline produced no tokens to compare with.
    """
    found = ratio(mine, baseline, anytime=anytime)
    if found is not None:
        return found
    if not all(it.output_tok_per_s for it in baseline):
        raise ComparisonError("the baseline produced no tokens in one of its rounds; repeat it")
    return Estimate(value=0.0)


def _read(model: type[Model], path: Path) -> Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ComparisonError(f"{path} is damaged ({error}); delete it and repeat") from None


def read_measured(
    run_dir: Path, variant: str, manifest: Manifest, failures: Mapping[Stage, str]
) -> Measured:
    """Read a variant's files, but for those of a stage that failed: they are of an earlier run.

    Raises:
        ComparisonError: a file is damaged, or was measured with something else than the others.
    """
    quality_path, samples_path = pass_paths(run_dir, variant, repeat=False)
    load_path = run_dir / variant / LOAD_NAME
    quality = None if "quality" in failures else _read(QualityFile, quality_path)
    load = None if "load test" in failures else _read(LoadFile, load_path)
    if load is not None:
        _check_artifact(load_path, load.endpoint.artifact_sha256, manifest, "make loadtest")
    if quality is not None:
        _check_artifact(quality_path, quality.artifact_sha256, manifest, "make eval")
    if load is not None and quality is not None:
        _check_engine(load_path, load, quality_path, quality)
    levels: dict[LoadPoint, list[RequestRecord]] = {}
    if load is not None:
        for record in read_records(run_dir / variant / REQUESTS_NAME):
            levels.setdefault(record.point, []).append(record)
    return Measured(
        manifest=manifest,
        quality=quality,
        samples=by_task(read_samples(samples_path)) if quality is not None else {},
        load=load,
        records=levels,
        certificate=None if load is None else read_certificate(run_dir / variant),
        slo=read_slo(run_dir / variant),
    )


def read_repeat(
    run_dir: Path, baseline: str, first: QualityFile
) -> Mapping[str, Sequence[Sample]] | None:
    """The samples of the baseline's second pass by task; None without one.

    Raises:
        ComparisonError: it was made with other inputs than the first: their difference would be
            taken for noise.
    """
    scores, samples = pass_paths(run_dir, baseline, repeat=True)
    repeat = _read(QualityFile, scores)
    if repeat is None:
        return None
    if repeat.inputs_sha256 != first.inputs_sha256:
        raise ComparisonError(
            f"{scores} was asked with other inputs (artifact, engine, tasks or settings) than the "
            "baseline's first pass; serve it with `make deploy-all` and repeat `make eval`"
        )
    return by_task(read_samples(samples))


def _check_artifact(path: Path, measured: str, manifest: Manifest, stage: str) -> None:
    if measured != manifest.content_sha256:
        raise ComparisonError(
            f"{path} was measured with another artifact of {manifest.recipe} ({measured[:12]}) "
            f"than the one that is there now ({manifest.content_sha256[:12]}); serve it with "
            f"`make deploy-all` and repeat `{stage}`"
        )


def _check_engine(load_path: Path, load: LoadFile, path: Path, quality: QualityFile) -> None:
    loaded, asked = load.endpoint.engine_version, quality.engine_version
    if loaded != asked:
        raise ComparisonError(
            f"{load_path} was measured with {loaded}, {path} with {asked}: speed and quality are "
            "not of the same engine and settings; serve it with `make deploy-all` and repeat "
            "`make loadtest` and `make eval`"
        )
