"""One variant to load-test, its files in the run's directory, and what makes them valid."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from deploy.plan import UNMEASURED, Plan
from loadtest.load_file import Endpoint, LoadFile, RoundFile
from loadtest.prompts import PromptSource

# Raise it when a change of this package changes what is measured: old results are then redone.
MEASURING_VERSION = 1

Result = TypeVar("Result", LoadFile, RoundFile)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One variant to load: its endpoint, its directory, and the hash of all that is measured."""

    endpoint: Endpoint
    directory: Path
    inputs_sha256: str

    def round_file(self, number: int, suffix: str) -> Path:
        """A file of a round; ``number`` counts from 0."""
        return self.directory / "rounds" / f"{number}.{suffix}"

    def read(self, model: type[Result], path: Path) -> Result | None:
        """A finished result, or None where it is missing, unreadable or of other inputs."""
        try:
            result = model.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        return result if result.inputs_sha256 == self.inputs_sha256 else None


def inputs_sha256(plan: Plan, endpoint: Endpoint, prompts: PromptSource) -> str:
    """Hash of everything that decides what a load test of this endpoint measures."""
    inputs = {
        "load": plan.load.model_dump(mode="json"),
        "serving": plan.serving.model_dump(exclude={*UNMEASURED, "start_timeout_s"}),
        "endpoint": endpoint.model_dump(exclude={"memory_bytes", "held_weight_bytes"}),
        "prompts": prompts.sha256(),
        "measuring": MEASURING_VERSION,
        "locust": version("locust"),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def write_result(path: Path, result: LoadFile | RoundFile) -> None:
    """Write a result by a temporary name and a rename: the file's existence means "done"."""
    temporary = path.with_suffix(".partial")
    temporary.write_text(result.model_dump_json(indent=1) + "\n")
    temporary.replace(path)
