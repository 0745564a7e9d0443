"""A GGUF file that a user names becomes a folder with the same weights and the same tokens.

covers: quantize/source/in_quantize/gguf_folder.py
"""

from pathlib import Path

import numpy as np
import pytest

import quantize.source.source_model as module
from quantize.artifact.gguf_header import read_gguf
from quantize.source.gguf_config import config_of
from quantize.source.gguf_source import FOLDERS, folder_of
from quantize.source.model_shape import outline
from quantize.source.reading import read_source
from quantize.source.source_config import read_any_config
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import resolve_model
from tests.quantize.artifact.small_gguf import write_gguf
from tests.quantize.made import make
from tests.quantize.tiny_model import read_tensors


@pytest.mark.engine
def test_the_folder_holds_what_the_file_does_and_says_what_was_lost_before(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    (whole, small), _ = make(tiny, tmp_path / "made", calibration_text, "gguf-bf16", "gguf-q8_0")
    folder = folder_of(whole / "model.gguf", tmp_path / "folders")
    assert read_source(folder).notes == ()
    expected = read_tensors(tiny / "model.safetensors")
    for name, (kind, bits) in read_tensors(folder / "model.safetensors").items():
        assert kind == "BF16"
        assert np.array_equal(bits, expected[name][1]), name
    config = config_of(read_gguf(whole / "model.gguf"))
    assert outline(config) == outline(read_any_config(folder).content)
    born = (folder / "config.json").stat().st_ino
    assert folder_of(whole / "model.gguf", tmp_path / "folders") == folder
    assert (folder / "config.json").stat().st_ino == born
    lossy = read_source(folder_of(small / "model.gguf", tmp_path / "folders"))
    assert "was quantized already (Q8_0)" in lossy.notes[0]
    assert lossy.config.ends == (2,)
    assert (
        read_gguf(small / "model.gguf").metadata["tokenizer.ggml.bos_token_id"] == lossy.config.bos
    )


def test_a_gguf_file_is_a_model_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "folder_of", lambda file: file.with_suffix(""))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert resolve_model(str(tmp_path / "m.gguf")) == tmp_path / "m"


def test_a_damaged_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    assert FOLDERS.name == "from-gguf"
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(SourceModelError, match="4 bytes end within its header"):
        folder_of(tmp_path / "m.gguf", tmp_path / "folders")
    write_gguf(tmp_path / "m.gguf", {"blk.0.attn_q.weight": ("Q8_0", (8, 64))})
    with pytest.raises(SourceModelError, match=r"m\.gguf cannot be made a folder by transformers"):
        folder_of(tmp_path / "m.gguf", tmp_path / "folders")
    assert not list((tmp_path / "folders").glob("*m-*"))
