"""Which models are found, what their hash covers, and that their weights are numbers.

covers: quantize/artifact_paths.py
"""

import json
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.artifact_paths import artifact_directory
from quantize.source.reading import read_source
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import (
    REFERENCE,
    REFERENCE_WEIGHTS,
    check_finite,
    fingerprint,
    resolve_model,
)
from tests.quantize.tiny_model import make_tiny_model


def _alter_config(model: Path, **changes: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | changes))


def test_sound_weights_are_numbers(tiny: Path) -> None:
    check_finite(read_source(tiny))


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, dtype: str, value: float) -> None:
    model = make_tiny_model(tmp_path, dtype=dtype, layers=1)
    weights = model / "model.safetensors"
    tensor = next(item for item in read_safetensors(weights) if "up_proj" in item.name)
    raw = bytearray(weights.read_bytes())
    bits = np.array([value], "<f4").tobytes()
    bits = bits[2:] if dtype == "BF16" else bits
    raw[tensor.offset + 8 : tensor.offset + 8 + len(bits)] = bits
    weights.write_bytes(raw)
    with pytest.raises(SourceModelError, match=r"layers\.0\.mlp\.up_proj\.weight holds NaN"):
        check_finite(read_source(model))


def test_the_reference_model_is_found_by_name() -> None:
    if REFERENCE_WEIGHTS.is_dir():
        assert resolve_model(REFERENCE) == REFERENCE_WEIGHTS


@pytest.mark.parametrize("name", ["/no/such/folder", "nothing", "./a/b"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(SourceModelError, match=r"no model folder"):
        resolve_model(name)


def test_the_hash_covers_weights_tokenizer_and_configuration_alone(model: Path) -> None:
    first = fingerprint(str(model)).sha256
    (model / "README.md").write_text("a model card")
    assert fingerprint(str(model)).sha256 == first
    _alter_config(model, rope_theta=5.0)
    assert fingerprint(str(model)).sha256 != first


def test_weights_that_are_written_anew_are_hashed_anew(model: Path) -> None:
    first = fingerprint(str(model)).sha256
    weights = model / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    assert fingerprint(str(model)).sha256 != first


def test_models_of_one_folder_name_have_directories_of_their_own(model: Path) -> None:
    first = fingerprint(str(model))
    _alter_config(model, rope_theta=5.0)
    second = fingerprint(str(model) + "/")
    directories = {artifact_directory(Path("a"), each, "bf16") for each in (first, second)}
    assert len(directories) == 2
    assert all(path.parent.name.startswith("model-") for path in directories)
