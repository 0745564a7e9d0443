"""GGUF files of a two-layer model, by llama.cpp's own converter and quantizer.

covers: quantize/by_llamacpp/in_llamacpp/gguf_quantize.py, quantize/by_llamacpp/llamacpp_jobs.py,
    quantize/by_llamacpp/gguf_tokenizer.py
"""

import json
from pathlib import Path

import pytest

from quantize.artifact.conversation import read_conversation
from quantize.artifact.end_tokens import named_end_tokens
from quantize.artifact.gguf_header import read_gguf
from quantize.artifact_check import check_artifact
from quantize.by_llamacpp.gguf_tokenizer import CHAT_TEMPLATE_KEY, MOST_DIFFERENT, compare_tokens
from quantize.by_llamacpp.llamacpp_jobs import ReadText
from quantize.method import RecipeError
from quantize.recipes.catalogue import find_recipe
from quantize.sizing.weight_bytes import weight_bytes
from quantize.source.model_shape import read_shape
from tests.quantize.made import make
from tests.quantize.tiny_model import CHAT_TEMPLATE, make_tiny_model


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
        # What the server reads is what the source's own tokenizer has.
        beside, own = read_conversation(artifact), read_conversation(tiny)
        assert beside is not None
        assert own is not None
        assert beside.templates == own.templates == {"default": CHAT_TEMPLATE}
        assert own.special_tokens.items() <= beside.special_tokens.items()
        assert named_end_tokens(artifact) == named_end_tokens(tiny) != ()


@pytest.mark.engine
def test_rows_that_no_super_block_divides_fall_back_as_llamacpp_does_and_the_size_is_foretold(
    tmp_path: Path, calibration_text: Path
) -> None:
    model = make_tiny_model(tmp_path / "model", hidden_size=384, intermediate_size=544, layers=2)
    names = ["gguf-q4_k_m", "gguf-q2_k", "gguf-q6_k"]
    made, _ = make(model, tmp_path / "artifacts", calibration_text, *names)
    shape = read_shape(json.loads((model / "config.json").read_text()))
    for artifact in made[1:]:
        manifest = check_artifact(artifact)
        assert manifest.fallbacks["blk.0.attn_q.weight"] in {"Q5_0", "Q4_0", "Q8_0"}
        stored = {tensor.name: tensor.kind for tensor in read_gguf(artifact / "model.gguf").tensors}
        assert {name: stored[name] for name in manifest.fallbacks} == manifest.fallbacks
        assert manifest.weight_bytes == weight_bytes(shape, find_recipe(manifest.recipe))


def texts(different: int, count: int) -> tuple[list[ReadText], list[list[int]]]:
    source = [ReadText(text=f"text {n}", special=True, ids=[n]) for n in range(count)]
    return source, [[-1] if n < different else [n] for n in range(count)]


def test_a_few_texts_that_are_read_otherwise_are_told_with_examples() -> None:
    found = compare_tokens(*texts(4, 100))
    assert (found.texts, found.different, found.share) == (100, 4, 0.04)
    assert found.examples == ("text 0", "text 1", "text 2")
    assert compare_tokens(*texts(0, 1)).examples == ()


def test_a_tokenizer_that_reads_many_texts_otherwise_is_refused() -> None:
    assert MOST_DIFFERENT == 0.05
    with pytest.raises(RecipeError, match=r"6 of 100 texts.*at most 5%.*'text 0'"):
        compare_tokens(*texts(6, 100))
