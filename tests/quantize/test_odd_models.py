"""Every kind of folder comes to what is right: made with the weights that were read, or refused.

One process of each tool makes all: GPTQModel's stays from folder to folder.

covers: quantize/fitness.py, quantize/bf16_copy.py
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.safetensors_header import weight_files
from quantize.artifact_check import measure_weights
from quantize.bf16_copy import make as copy
from quantize.bf16_copy import round_to_bfloat16
from quantize.by_gptqmodel import gptqmodel_checkpoint
from quantize.by_llamacpp import gguf_export
from quantize.fitness import why_not
from quantize.jobs.worker import Worker
from quantize.method import Outcome
from quantize.methods import METHODS
from quantize.model_source import prepared
from quantize.recipes.catalogue import find_recipe
from quantize.source.normalised_folder import PreparedSource
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import fingerprint
from tests.quantize.method_run import run_method
from tests.quantize.odd_models import ODD_MODELS, make_odd_model
from tests.quantize.tiny_model import read_tensors

TAKEN = [name for name, odd in ODD_MODELS.items() if not odd.refused]
WITH_TOOLS = [name for name, odd in ODD_MODELS.items() if odd.tool]
# llama.cpp's names of some tensors; queries and keys lie there in another order of rows.
GGUF_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
    "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
    "blk.0.ffn_up.weight": "model.layers.0.mlp.up_proj.weight",
    "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
    "blk.0.ffn_down.bias": "model.layers.0.mlp.down_proj.bias",
    "output.weight": "lm_head.weight",
}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as started:
        yield started


def as_bfloat16(kind: str, bits: np.ndarray) -> np.ndarray:
    """What a stored tensor is in bfloat16, as bits."""
    if kind == "BF16":
        return bits
    wide = bits.view("<f4" if kind == "F32" else "<f2").astype("<f4")
    return round_to_bfloat16(np.ascontiguousarray(wide)).reshape(bits.shape)


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """The weights that a folder's files hold, in bfloat16."""
    held = {
        name: each for path in weight_files(folder) for name, each in read_tensors(path).items()
    }
    return {
        name: as_bfloat16(kind, bits)
        for name, (kind, bits) in held.items()
        if kind in ("BF16", "F16", "F32")
    }


def prepare(kind: str, folder: Path) -> PreparedSource:
    model = fingerprint(str(make_odd_model(kind, folder / "model")))
    return prepared(model, folder / "artifacts")


def carry_out(worker: Worker, folder: Path, recipe: str, text: Path) -> tuple[Path, Outcome]:
    """Make one recipe of the model that was prepared in a folder."""
    return run_method(worker, folder / "model", recipe, folder / recipe, text, samples=4)


@pytest.mark.parametrize("kind", [name for name, odd in ODD_MODELS.items() if odd.refused])
def test_what_tools_would_read_differently_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceModelError, match=ODD_MODELS[kind].refused) as refused:
        prepare(kind, tmp_path)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "artifacts").glob("*/source*"))


@pytest.mark.parametrize("kind", TAKEN)
def test_what_is_taken_has_its_own_weights_and_says_what_is_odd(
    kind: str, tmp_path: Path, worker: Worker, calibration_text: Path
) -> None:
    odd = ODD_MODELS[kind]
    source = prepare(kind, tmp_path)
    assert odd.note in " ".join(source.record.notes)
    for recipe, words in (("gguf-q8_0", odd.no_gguf), ("gptq-int4-g64", odd.no_gptq)):
        why = why_not(find_recipe(recipe), source) or ""
        assert bool(why) == bool(words), why
        assert words in why
    output, _ = carry_out(worker, tmp_path, "bf16", calibration_text)
    assert copy is METHODS["copy"].make
    expected = read_weights(source.folder)
    found = read_weights(output)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.engine
@pytest.mark.parametrize("kind", WITH_TOOLS)
def test_tools_make_the_model_that_was_read(
    kind: str, tmp_path: Path, worker: Worker, calibration_text: Path
) -> None:
    odd = ODD_MODELS[kind]
    source = prepare(kind, tmp_path)
    expected = read_weights(source.folder)
    if not odd.no_gptq:
        output, _ = carry_out(worker, tmp_path, "gptq-int4-g64", calibration_text)
        held = {n: each for p in weight_files(output) for n, each in read_tensors(p).items()}
        for role in ("mlp.up_proj", "self_attn.o_proj"):
            layer = f"model.layers.0.{role}"
            near = np.corrcoef(decode(held, layer), single(expected[f"{layer}.weight"]).ravel())
            assert near[0, 1] > 0.98
    assert gptqmodel_checkpoint.make is METHODS["gptq"].make
    output, outcome = carry_out(worker, tmp_path, "gguf-bf16", calibration_text)
    assert gguf_export.make is METHODS["gguf"].make
    assert outcome.tokenizer is not None
    assert outcome.tokenizer.share <= 0.05
    assert measure_weights(output, find_recipe("gguf-bf16")).bits_per_weight == 16
    raw = (output / "model.gguf").read_bytes()
    for tensor in read_gguf(output / "model.gguf").tensors:
        name = GGUF_NAMES.get(tensor.name)
        if name in expected:
            bits = np.frombuffer(raw, np.uint8, tensor.size_bytes, tensor.offset)
            width = f"<u{tensor.size_bytes // tensor.elements}"
            found = as_bfloat16(tensor.kind, bits.view(width))
            assert np.array_equal(np.sort(found.ravel()), np.sort(expected[name].ravel())), name


def single(bits: np.ndarray) -> np.ndarray:
    """Bits of bfloat16 as float32."""
    values: np.ndarray = (bits.astype("<u4") << 16).view("<f4")
    return values


def decode(held: dict[str, tuple[str, np.ndarray]], layer: str) -> np.ndarray:
    """Weights of a GPTQ layer, 4-bit and symmetric: eight inputs in a word, a scale per group."""
    words = held[f"{layer}.qweight"][1].view("<u4")
    codes = (words[:, None, :] >> (4 * np.arange(8, dtype="<u4"))[None, :, None]) & 15
    levels = codes.reshape(-1, words.shape[1]).astype("<f4") - 8
    kind, bits = held[f"{layer}.scales"]
    scales = bits.view("<f2").astype("<f4") if kind == "F16" else single(bits)
    groups = held[f"{layer}.g_idx"][1].view("<i4")
    weights: np.ndarray = (levels * scales.reshape(-1, words.shape[1])[groups]).T
    return weights.ravel()


def test_there_are_enough_kinds_of_both_outcomes() -> None:
    assert len(ODD_MODELS) >= 40
    assert len(TAKEN) > 20
    assert all(re.compile(odd.refused) for odd in ODD_MODELS.values())
