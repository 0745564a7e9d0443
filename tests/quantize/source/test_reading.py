"""What is refused of a model's folder before any work, each in one line that names it.

covers: quantize/source/source_error.py
"""

import json
from pathlib import Path

import numpy as np
import pytest

from quantize.source.reading import read_source
from quantize.source.source_error import SourceModelError
from tests.quantize.tiny_model import make_tiny_model, rewrite_weights


def test_a_sound_model_is_read_without_a_note(tiny: Path) -> None:
    reading = read_source(tiny)
    assert (reading.shape.blocks, reading.notes) == (2, ())
    assert reading.tokenizer_files == ("tokenizer.model", "tokenizer_config.json")


@pytest.mark.parametrize("name", ["tokenizer.model", "config.json", "model.safetensors"])
def test_a_link_to_nowhere_is_refused_by_name(model: Path, name: str) -> None:
    (model / name).unlink()
    (model / name).symlink_to("../blobs/gone")
    with pytest.raises(SourceModelError, match=rf"{name} is a link to nowhere \(\.\./blobs/gone"):
        read_source(model)


def test_a_missing_tokenizer_is_refused(model: Path) -> None:
    (model / "tokenizer.model").unlink()
    with pytest.raises(SourceModelError, match="has no tokenizer"):
        read_source(model)


def test_weights_of_another_kind_are_refused(model: Path) -> None:
    rewrite_weights(model, lambda tensors: tensors | {"model.norm.weight": ("F64", np.ones(256))})
    with pytest.raises(SourceModelError, match=r"model\.norm\.weight is stored as F64"):
        read_source(model)


def test_a_second_head_must_be_the_tied_embedding(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path, layers=1)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    with pytest.raises(SourceModelError, match=r"lm_head\.weight differs from model\.embed_tokens"):
        read_source(model)
    rewrite_weights(
        model, lambda tensors: tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"]}
    )
    assert read_source(model).shape.tied
