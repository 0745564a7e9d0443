"""Regenerate what is bundled beside the weights: tokenizer, evaluation data, calibration set.

    python -m quantize.reference_model.build tokenizer   # before training; needs sentencepiece
    python -m quantize.reference_model.build data        # standard library only

The weights come from `train.py`.
"""

import argparse
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from quantize.reference_model import corpus, tasks
from quantize.reference_model.world import World, build_world

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights"
TASK_DATA = HERE.parents[1] / "eval" / "tasks" / "data"
CALIBRATION = HERE / "calibration.jsonl"
CALIBRATION_DOCUMENTS = 600
TOKENIZER_DOCUMENTS = 30_000


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


def build_tokenizer() -> None:
    """Train the tokenizer on a stream of its own and write its files beside the weights."""
    # Only this command needs sentencepiece, which not every environment has.
    from quantize.reference_model.tokenizer import train_sentencepiece, write_tokenizer

    WEIGHTS.mkdir(exist_ok=True)
    texts = islice(corpus.documents(build_world(), "tokenizer"), TOKENIZER_DOCUMENTS)
    train_sentencepiece(texts, WEIGHTS / "tokenizer.model")
    write_tokenizer(WEIGHTS / "tokenizer.model", WEIGHTS)
    print(f"tokenizer written to {WEIGHTS}")


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("tokenizer", "data"))
    {"tokenizer": build_tokenizer, "data": build_data}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
