"""What engines are held against is made once per artifact, and lies beside its manifest.

covers: quantize/agreement/agreement_file.py
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantize.agreement import expectations
from quantize.agreement.agreement_file import AGREEMENT_NAME, read_agreement
from quantize.agreement.expectations import score_artifacts, scoring_device
from quantize.artifact.manifest import read_manifest
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.machine import Gpu, Machine
from quantize.make import make_artifacts
from quantize.order import Order
from quantize.published_model import find_model
from quantize.source.source_model import fingerprint
from tests.quantize.published import as_int8, gpt_oss
from tests.quantize.tiny_model import make_tiny_model

pytestmark = pytest.mark.engine


@pytest.fixture
def order(tmp_path: Path) -> Order:
    model = make_tiny_model(tmp_path / "model", hidden_size=128, intermediate_size=128)
    order = Order(
        model=fingerprint(str(model)),
        recipe_names=("bf16",),
        calibration=calibration_plan(BUNDLED, samples=1, sequence_length=16),
        artifacts=tmp_path / "artifacts",
        threads=2,
    )
    make_artifacts(order, lambda _: None)
    return order


def folder(order: Order) -> Path:
    return next(order.artifacts.glob("*/bf16"))


def test_it_is_scored_once_and_again_only_for_another_probe(order: Order) -> None:
    said: list[str] = []
    before = read_manifest(folder(order)).content_sha256
    score_artifacts(order, 256, said.append)
    file = read_agreement(folder(order))
    assert file is not None
    assert file.made_from["artifact"] == before == read_manifest(folder(order)).content_sha256
    assert (file.artifact, len(file.source["with BOS"].logprobs)) == (None, 254)
    score_artifacts(order, 256, said.append)
    assert len(said) == 1
    assert said[0].startswith("agreement        1 scored by transformers on ")
    assert expectations._wanted(order, 100)[0].is_there is False
    (folder(order) / AGREEMENT_NAME).write_text("{")
    assert read_agreement(folder(order)) is None


def test_where_memory_does_not_suffice_that_is_said_and_nothing_is_written(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = SimpleNamespace(available=1000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: little)
    said: list[str] = []
    score_artifacts(replace(order, threads=1), 256, said.append)
    assert "not scored" in said[0]
    assert "engines are held against nothing" in said[0]
    assert read_agreement(folder(order)) is None
    monkeypatch.setattr(expectations, "_free_on_gpu", lambda: 8_000_000_000)
    score_artifacts(replace(order, threads=1), 256, said.append)
    assert "0.0 GB and 8.0 GB of the GPU's are free" in said[1]


GB = 10**9


@pytest.mark.parametrize(
    ("free", "free_on_gpu", "device"),
    [
        (100 * GB, 84 * GB, "cuda"),
        (20 * GB, 84 * GB, "cuda"),
        (100 * GB, 60 * GB, "cpu"),
        (100 * GB, None, "cpu"),
        (20 * GB, 60 * GB, None),
        (20 * GB, None, None),
    ],
)
def test_a_probe_is_scored_on_a_gpu_with_room_and_else_where_there_is_some(
    free: int, free_on_gpu: int | None, device: str | None
) -> None:
    eight_billion = 52 * GB
    assert scoring_device(eight_billion, free, free_on_gpu) == device


def test_a_gpu_counts_only_where_torch_was_built_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(
        index=0,
        uuid="GPU-0a",
        name="NVIDIA H100",
        device="hopper",
        compute_capability="9.0",
        memory_bytes=80 << 30,
        driver="580.1",
    )
    machine = Machine(device="hopper", name="NVIDIA H100", gpus=(gpu,))
    monkeypatch.setattr(expectations, "probe_machine", lambda: machine)
    monkeypatch.setattr(expectations, "free_gpu_bytes", {"GPU-0a": 7}.get)
    for version, free in (("2.11.0", 7), ("2.11.0+cu130", 7), ("2.11.0+cpu", None)):
        monkeypatch.setattr(expectations, "installed_version", lambda *_, v=version: v)
        assert expectations._free_on_gpu() == free


def published(folder: Path, artifacts: Path, recipe: str) -> Order:
    return Order(
        model=find_model(str(folder)),
        recipe_names=(recipe,),
        calibration=calibration_plan(BUNDLED, samples=1, sequence_length=16),
        artifacts=artifacts,
        threads=2,
    )


def test_a_published_checkpoint_alone_is_scored_by_its_own_decoded_weights(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model", hidden_size=128, intermediate_size=128)
    int8 = as_int8(model, tmp_path / "int8")
    order = published(int8, tmp_path / "artifacts", "native-compressed-int8")
    (artifact,) = make_artifacts(order, lambda _: None)
    score_artifacts(order, 256, lambda _: None)
    file = read_agreement(artifact)
    assert file is not None
    assert file.artifact is not None
    assert file.artifact.fault is None
    # Its source are the decoded weights with inputs left as they are.
    assert file.artifact.inputs_kept == {
        name: each.model_copy(update={"bf16_nats": None}) for name, each in file.source.items()
    }
    assert file.artifact.farthest is not None
    assert file.artifact.farthest.residual < file.artifact.farthest.limit


def test_what_cannot_be_decoded_here_is_said_and_scores_nothing(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model", hidden_size=128, intermediate_size=128)
    order = published(
        gpt_oss(tmp_path / "oss", model), tmp_path / "artifacts", "native-gpt-oss-mxfp4"
    )
    (artifact,) = make_artifacts(order, lambda _: None)
    score_artifacts(order, 256, lambda _: None)
    file = read_agreement(artifact)
    assert file is not None
    assert file.artifact is not None
    assert (file.source, file.artifact.is_unknown, file.artifact.scores) == ({}, True, {})
    assert file.artifact.fault
