import json
from pathlib import Path

import numpy as np

from quantize.artifact.safetensors_header import read_safetensors
from quantize.bf16_copy import round_to_bfloat16, write_as_bf16
from tests.quantize.made import make
from tests.quantize.tiny_model import make_tiny_model, write_safetensors


def test_rounding_is_to_the_nearest_and_ties_to_even() -> None:
    one = np.uint32(0x3F800000)
    bits = np.array([one, one + 0x7FFF, one + 0x8000, one + 0x8001, one + 0x18000], "<u4")
    expected = [0x3F80, 0x3F80, 0x3F80, 0x3F81, 0x3F82]
    assert round_to_bfloat16(bits.view("<f4")).tolist() == expected


def test_half_and_single_precision_become_bfloat16(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.25], [0.0, 100.0]])
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    write_safetensors(
        source, {"half": ("F16", values.astype("<f2")), "single": ("F32", values.astype("<f4"))}
    )
    write_as_bf16(source, target)
    for tensor in read_safetensors(target):
        raw = target.read_bytes()[tensor.offset : tensor.offset + tensor.size_bytes]
        wide = np.frombuffer(raw, "<u2").astype("<u4") << 16
        assert tensor.kind == "BF16"
        assert wide.view("<f4").reshape(tensor.shape).tolist() == values.tolist()


def test_the_configuration_says_what_the_weights_are(
    tmp_path: Path, calibration_text: Path
) -> None:
    model = make_tiny_model(tmp_path / "model", dtype="F32")
    (artifact,), _ = make(model, tmp_path / "artifacts", calibration_text, "bf16")
    assert json.loads((artifact / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert {tensor.kind for tensor in read_safetensors(artifact / "model.safetensors")} == {"BF16"}


def test_files_of_a_bfloat16_model_are_copied_not_linked(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    (artifact,), _ = make(tiny, tmp_path, calibration_text, "bf16")
    source, copy = tiny / "model.safetensors", artifact / "model.safetensors"
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_ino != source.stat().st_ino
