"""The bundled tokenizer files; that all engines read them alike is ``../test_tokenizer.py``."""

import json
from pathlib import Path

from quantize.reference_model.build import WEIGHTS
from quantize.reference_model.in_quantize.tokenizer import write_tokenizer


def test_the_files_are_what_the_builder_writes(tmp_path: Path) -> None:
    write_tokenizer(WEIGHTS / "tokenizer.model", tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((WEIGHTS / name).read_text())
