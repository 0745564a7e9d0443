"""The ids that end an answer come from the artifact's own files."""

import json
from pathlib import Path

from quantize.artifact.end_tokens import end_tokens
from tests.quantize.artifact.small_gguf import write_gguf


def write(folder: Path, name: str, eos: object) -> None:
    (folder / name).write_text(json.dumps({"eos_token_id": eos}))


def test_the_generation_settings_override_the_models(tmp_path: Path) -> None:
    write(tmp_path, "config.json", 2)
    assert end_tokens(tmp_path) == (2,)
    write(tmp_path, "generation_config.json", [2, 7])
    assert end_tokens(tmp_path) == (2, 7)
    write(tmp_path, "generation_config.json", None)
    assert end_tokens(tmp_path) == (2,)


def test_what_lies_beside_a_gguf_file_overrides_the_one_it_names(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", {}, end_token=2)
    assert end_tokens(tmp_path) == (2,)
    write(tmp_path, "generation_config.json", [2, 6])
    assert end_tokens(tmp_path) == (2, 6)


def test_where_no_file_names_any_there_are_none(tmp_path: Path) -> None:
    assert end_tokens(tmp_path) == ()
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert end_tokens(tmp_path) == ()
