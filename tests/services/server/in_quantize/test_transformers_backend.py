"""The transformers backend against plain forwards, whatever else is in the batch.

covers: services/server/in_quantize/hf_tokenizer.py, services/server/in_quantize/slot_attention.py
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.server.backend import Batch
from services.server.in_quantize.hf_tokenizer import HfTokenizer
from services.server.in_quantize.transformers_backend import TransformersBackend
from tests.quantize.emulation.in_quantize.models import save_model
from tests.quantize.tiny_model import make_tiny_model

TOLERANCE = 2e-5
RNG = np.random.default_rng(3)


def sequence(length: int) -> list[int]:
    ids: list[int] = RNG.integers(3, 320, length).tolist()
    return ids


def add(batch: Batch, slot: int, ids: list[int], start: int, stop: int) -> None:
    for position in range(start, stop):
        batch.add(slot, position, ids[position], True)


@pytest.fixture(params=["llama", "sliding-mistral", "tied-qwen3", "qwen3-moe"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    tiny = make_tiny_model(tmp_path / "tokenizer")
    target = tmp_path / "model"
    model = save_model(target, request.param)
    for name in ("tokenizer.model", "tokenizer_config.json"):
        (tiny / name).rename(target / name)
    return target, model


def test_sequences_side_by_side_in_parts_give_the_logits_of_each_alone(
    folder: tuple[Path, torch.nn.Module],
) -> None:
    path, model = folder
    backend = TransformersBackend(path, context_length=64, max_sequences=4, threads=1)
    sequences = {0: sequence(30), 3: sequence(12), 1: sequence(20)}
    parts: dict[int, list[np.ndarray]] = {slot: [] for slot in sequences}
    for share in ((0.0, 0.4), (0.4, 0.5), (0.5, 1.0)):
        batch = Batch()
        bounds = {
            slot: (int(share[0] * len(ids)), int(share[1] * len(ids)))
            for slot, ids in sequences.items()
        }
        for slot, ids in sequences.items():
            add(batch, slot, ids, *bounds[slot])
        logits, row = backend.decode(batch), 0
        for slot, (start, stop) in bounds.items():
            parts[slot].append(logits[row : row + stop - start])
            row += stop - start
    for slot, ids in sequences.items():
        with torch.inference_mode():
            expected = model(torch.tensor([ids]), use_cache=False).logits[0].numpy()
        assert np.abs(np.concatenate(parts[slot]) - expected).max() < TOLERANCE


def test_a_slot_is_used_again_after_a_common_prefix(
    folder: tuple[Path, torch.nn.Module],
) -> None:
    path, model = folder
    backend = TransformersBackend(path, context_length=64, max_sequences=2, threads=1)
    first = sequence(20)
    second = first[:8] + sequence(6)
    batch = Batch()
    add(batch, 0, first, 0, 20)
    backend.decode(batch)
    backend.trim(0, 8)
    again = Batch()
    add(again, 0, second, 8, 14)
    with torch.inference_mode():
        expected = model(torch.tensor([second]), use_cache=False).logits[0, 8:].numpy()
    assert np.abs(backend.decode(again) - expected).max() < TOLERANCE


def test_a_context_longer_than_the_models_is_refused(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)
    with pytest.raises(ValueError, match="2048 is more than the model's 1024"):
        TransformersBackend(path, context_length=2048, max_sequences=2, threads=1)


def test_tokens_are_the_bytes_of_their_text(tmp_path: Path) -> None:
    tokenizer = HfTokenizer(make_tiny_model(tmp_path), 520)
    text = "Bada ke\n\tlomo é 😀 12"
    ids = tokenizer.encode(text, add_special=True, parse_special=False)
    raw = b"".join(tokenizer.piece(token, special=False) for token in ids)
    assert raw.decode().removeprefix(" " if tokenizer.adds_space else "") == text
    assert tokenizer.piece(1, special=False) == b""
    assert tokenizer.piece(1, special=True) == b"<s>"
    assert tokenizer.piece(519, special=True) == b""
