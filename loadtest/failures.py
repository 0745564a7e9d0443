"""``<run>/<variant>/failures.json``: why a stage brought nothing for a variant.

A comparison goes on without a variant that fails, so the reason must outlive the stage: the
verdict and the report tell it. A stage that begins anew forgets what it said before.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from quantize.jobs.whole_file import write_whole

Stage = Literal["quantize", "deploy", "load test", "quality"]
FAILURES_NAME = "failures.json"
_FILE: TypeAdapter[dict[Stage, str]] = TypeAdapter(dict[Stage, str])


def read_failures(run_dir: Path, variant: str) -> Mapping[Stage, str]:
    """Reasons by stage; empty where nothing failed."""
    try:
        return _FILE.validate_json((run_dir / variant / FAILURES_NAME).read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        path = run_dir / variant / FAILURES_NAME
        raise ValueError(f"{path} is damaged ({error}); delete it and repeat") from None


def record_failure(run_dir: Path, variant: str, stage: Stage, reason: str) -> None:
    """Keep a reason; the variant's own name at its beginning is left out."""
    told = reason.removeprefix(f"{variant}: ")
    _write(run_dir / variant, {**read_failures(run_dir, variant), stage: told})


def forget_failures(run_dir: Path, variants: Iterable[str], *stages: Stage) -> None:
    """Forget what these stages said of the variants; of all stages where none is named."""
    for variant in variants:
        kept = {s: why for s, why in read_failures(run_dir, variant).items() if s not in stages}
        _write(run_dir / variant, kept if stages else {})


def _write(folder: Path, failures: Mapping[Stage, str]) -> None:
    """By a temporary name and a rename; without failures there is no file."""
    path = folder / FAILURES_NAME
    if not failures:
        path.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(failures, indent=1))
