"""A tiny source model and a calibration text, made once and copied for tests that alter them."""

import json
import shutil
from pathlib import Path

import pytest

from tests.quantize.tiny_model import make_tiny_model, random_sentences


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama; not to be altered."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.fixture(scope="session")
def calibration_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSONL file with some ten thousand tokens."""
    path = tmp_path_factory.mktemp("text") / "calibration.jsonl"
    texts = (" ".join(random_sentences(8, seed)) for seed in range(1, 60))
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path
