"""Regenerate what is bundled beside the weights: evaluation data and calibration set.

    python -m quantize.reference_model.build   # standard library only

The tokenizer comes from `in_quantize/tokenizer.py`, the weights from `in_quantize/train.py`.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from quantize.reference_model import corpus, tasks
from quantize.reference_model.world import World, build_world
from quantize.root import ROOT

HERE = ROOT / "quantize" / "reference_model"
WEIGHTS = HERE / "weights"
TASK_DATA = ROOT / "eval" / "tasks" / "data"
CALIBRATION = HERE / "calibration.jsonl"
CALIBRATION_DOCUMENTS = 600


def calibration_rows(world: World) -> list[dict[str, Any]]:
    """The calibration set: documents of all kinds, of a stream of its own."""
    texts = islice(corpus.documents(world, "calibration"), CALIBRATION_DOCUMENTS)
    return [{"text": text} for text in texts]


def data_files(world: World) -> dict[Path, list[dict[str, Any]]]:
    """Every bundled data file and its rows."""
    return {
        TASK_DATA / "assay_text.jsonl": tasks.text_rows(world),
        TASK_DATA / "assay_choice.jsonl": tasks.choice_rows(world),
        TASK_DATA / "assay_words.jsonl": tasks.words_rows(world),
        CALIBRATION: calibration_rows(world),
    }


def as_jsonl(rows: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def build_data() -> None:
    """Write the data files."""
    for path, rows in data_files(build_world()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_jsonl(rows), encoding="utf-8")
        print(f"{path.name}: {len(rows)} rows, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    build_data()
