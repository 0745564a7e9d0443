"""A run as its directory keeps it, read without what it was measured with.

Nothing of the machine, the model or the artifacts has to be there still: an old run is compared by
its files alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from eval.comparison import COMPARISON_NAME
from eval.quality_files import pass_paths, stored_pass
from eval.samples import Sample, by_task, read_samples
from eval.schema import ComparisonFile, VariantComparison, VerdictFile
from loadtest.load_file import LOAD_NAME, LoadFile
from loadtest.run_directory import RESULTS_DIR

Model = TypeVar("Model", bound=BaseModel)


class KeptRunError(ValueError):
    """A directory that holds no finished run; the message says what is missing."""


@dataclass(frozen=True)
class KeptRun:
    """One run's directory, read as it is asked."""

    folder: Path

    @cached_property
    def comparison(self) -> ComparisonFile:
        """The paired statistics of the run."""
        return self._file(COMPARISON_NAME, ComparisonFile)

    @cached_property
    def verdict(self) -> VerdictFile:
        """What the run decided."""
        return self._file("verdict.json", VerdictFile)

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """The machine and the versions; empty where they were not kept."""
        path = self.folder / "environment.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    @cached_property
    def plan(self) -> Mapping[str, Any]:
        """The plan as it was written: one of another version may not be loaded any more.

        Raises:
            KeptRunError: there is none.
        """
        path = self.folder / "plan.yaml"
        try:
            return dict(yaml.safe_load(path.read_text()))
        except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
            raise KeptRunError(f"{path}: no plan of a run ({error})") from None

    @property
    def confidence(self) -> float:
        """The plan's confidence, that of the whole verdict."""
        return float(self.plan.get("objectives", {}).get("confidence", 0.95))

    def variant(self, name: str) -> VariantComparison | None:
        """The measured variant of that name."""
        return next((v for v in self.comparison.variants if v.variant == name), None)

    def samples(self, variant: str) -> Mapping[str, list[Sample]]:
        """Its answers by task; empty where none were kept."""
        _, path = pass_paths(self.folder, variant, repeat=False)
        return by_task(read_samples(path)) if path.is_file() else {}

    def engine(self, variant: str) -> str | None:
        """The engine's version that answered; None where nothing tells."""
        found = stored_pass(self.folder, variant, repeat=False)
        if found is not None:
            return found.engine_version
        path = self.folder / variant / LOAD_NAME
        return (
            self._file(f"{variant}/{LOAD_NAME}", LoadFile).endpoint.engine_version
            if (path.is_file())
            else None
        )

    def weights(self, variant: str) -> str | None:
        """The hash of the artifact that answered; None where nothing tells."""
        found = stored_pass(self.folder, variant, repeat=False)
        return None if found is None else found.artifact_sha256

    def _file(self, name: str, model: type[Model]) -> Model:
        path = self.folder / name
        try:
            return model.model_validate_json(path.read_bytes())
        except OSError:
            raise KeptRunError(f"{path}: no such file; finish the run by `assay report`") from None
        except ValidationError as error:
            raise KeptRunError(
                f"{path}: {error.errors()[0]['msg']}; repeat `assay report`"
            ) from None


def find_run(name: str, results: Path = RESULTS_DIR) -> KeptRun:
    """The run of a directory, or of a name in the results' folder.

    Raises:
        KeptRunError: there is no such run, or it has no comparison and verdict.
    """
    folder = next((path for path in (Path(name), results / name) if path.is_dir()), None)
    if folder is None:
        known = sorted(path.parent.name for path in results.glob(f"*/{COMPARISON_NAME}"))
        said = f"; in {results.name}/ there are {', '.join(known)}" if known else ""
        raise KeptRunError(f"{name}: no such run{said}")
    run = KeptRun(folder.resolve())
    assert run.comparison is not None
    assert run.verdict is not None
    return run
