"""One variant to load-test, its files in the run's directory, and what makes them valid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from loadtest.load_file import Endpoint, LoadFile, RoundFile
from quantize.jobs.whole_file import write_whole
from quantize.validity.made_from import key_of, what_changed

Result = TypeVar("Result", LoadFile, RoundFile)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One variant to load: its endpoint, its directory, and what decides its results.

    ``measured_from`` decides the rounds' records, and ``summed_from`` also ``load.json``.
    """

    endpoint: Endpoint
    directory: Path
    measured_from: Mapping[str, str]
    summed_from: Mapping[str, str]

    def round_file(self, number: int, suffix: str) -> Path:
        """A file of a round; ``number`` counts from 0."""
        return self.directory / "rounds" / f"{number}.{suffix}"

    def read(self, model: type[Result], path: Path) -> Result | None:
        """A finished result, or None where it is missing, unreadable or of other inputs."""
        result = stored_result(model, path)
        key = key_of(self._made_from(model))
        return result if result is not None and result.inputs_sha256 == key else None

    def outdated_by(self, model: type[Result], path: Path) -> str | None:
        """What has changed since a finished result was made; None where there is none."""
        result = stored_result(model, path)
        return what_changed(result.made_from, self._made_from(model)) if result else None

    def _made_from(self, model: type[Result]) -> Mapping[str, str]:
        return self.measured_from if model is RoundFile else self.summed_from


def stored_result(model: type[Result], path: Path) -> Result | None:
    """A result as it lies on the disk, of whatever inputs; None where none can be read."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def write_result(path: Path, result: LoadFile | RoundFile) -> None:
    """Write a result; the file's existence means "done"."""
    write_whole(path, result.model_dump_json(indent=1) + "\n")
