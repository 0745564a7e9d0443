"""GGUF files of a two-layer model, by llama.cpp's own converter and quantizer.

covers: quantize/by_llamacpp/in_llamacpp/gguf_quantize.py, quantize/by_llamacpp/llamacpp_jobs.py
"""

from pathlib import Path

import pytest

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact_check import check_artifact
from quantize.by_llamacpp.gguf_export import CHAT_TEMPLATE_KEY, compare_tokens
from quantize.by_llamacpp.llamacpp_jobs import ReadText
from quantize.method import RecipeError
from tests.quantize.made import make
from tests.quantize.tiny_model import CHAT_TEMPLATE


@pytest.mark.engine
def test_gguf_files_hold_their_types_and_the_chat_template(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    recipes = ["gguf-bf16", "gguf-q8_0", "gguf-q4_k_m", "gguf-q2_k"]
    artifacts, _ = make(tiny, tmp_path, calibration_text, *recipes)
    manifests = [check_artifact(artifact) for artifact in artifacts]
    bits = [manifest.bits_per_weight for manifest in manifests]
    assert bits[:2] == [16, 8.5]
    assert bits == sorted(bits, reverse=True)
    assert {manifest.parameter_count for manifest in manifests} == {1_443_072}
    for artifact in artifacts:
        held = read_gguf(artifact / "model.gguf")
        assert held.metadata[CHAT_TEMPLATE_KEY] == CHAT_TEMPLATE


def test_a_tokenizer_that_reads_otherwise_is_refused() -> None:
    source = [
        ReadText(text="same", special=True, ids=[1]),
        ReadText(text="other", special=True, ids=[2]),
    ]
    compare_tokens(source, [[1], [2]])
    with pytest.raises(RecipeError, match=r"1 of 2 texts.*'other'"):
        compare_tokens(source, [[1], [3]])
