"""Where the passes of a variant lie in a run, and what of them can be read."""

from pathlib import Path

from pydantic import ValidationError

from eval.schema import QualityFile


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
