"""A dry run says what would be made, how long and how large, and makes nothing."""

from pathlib import Path
from typing import Any

import pytest

from quantize.artifact.manifest import Manifest
from quantize.make import make_artifacts
from quantize.model_source import examined
from quantize.order import plan_items
from quantize.sizing import estimate as estimate_module
from quantize.sizing.dry_run import dry_run
from quantize.sizing.estimate import DiskRoomError, earlier_manifests, estimate, expected_seconds
from quantize.source.model_shape import read_shape
from tests.assay_command import ASSAY
from tests.quantize.made import make, order, run
from tests.quantize.source.test_model_shape import LLAMA_8B, QWEN3_SMALL

SHAPE = read_shape(LLAMA_8B)


def made(recipe: str, parameters: int, seconds: float) -> Manifest:
    fields: dict[str, Any] = {"recipe": recipe, "seconds": seconds, "model": f"of {parameters}"}
    return Manifest.model_construct(parameter_count=parameters, **fields)


def test_nothing_is_written_and_what_is_there_is_said_to_be_reused(
    tiny: Path, calibration_text: Path, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    lines: list[str] = []
    dry_run(order(tiny, artifacts, calibration_text, "bf16"), lines.append)
    assert lines[0].split()[:2] == ["bf16", "make"]
    assert lines[-1].startswith("1 to make, 0 reused")
    assert not artifacts.exists()
    make(tiny, artifacts, calibration_text, "bf16")
    lines.clear()
    dry_run(order(tiny, artifacts, calibration_text, "bf16"), lines.append)
    assert lines[0].split()[:2] == ["bf16", "reuse"]
    assert lines[-1].startswith("0 to make, 1 reused: about 0 s")


def test_the_size_said_is_the_size_made(tiny: Path, calibration_text: Path, tmp_path: Path) -> None:
    wanted = order(tiny, tmp_path, calibration_text, "bf16")
    with examined(wanted.model, wanted.artifacts) as source:
        (cost,) = estimate(wanted, plan_items(wanted), source)
    make(tiny, tmp_path / "artifacts", calibration_text, "bf16")
    (manifest,) = earlier_manifests(tmp_path / "artifacts")
    assert manifest.size_bytes <= cost.size_bytes <= manifest.size_bytes + (1 << 18)


def test_a_disk_without_room_is_refused_before_work_starts(
    tiny: Path, calibration_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate_module, "free_bytes", lambda _folder: 1 << 20)
    wanted = order(tiny, tmp_path / "artifacts", calibration_text, "bf16")
    with pytest.raises(DiskRoomError, match=r"need about .* GB under .*0\.00 GB are free; make ro"):
        make_artifacts(wanted, lambda _line: None)
    assert not list((tmp_path / "artifacts").glob("*/bf16*"))
    with pytest.raises(DiskRoomError):
        dry_run(wanted, lambda _line: None)


def test_earlier_seconds_are_scaled_by_parameters_of_the_nearest_model() -> None:
    earlier = [made("fp8", 8_000_000_000, 80), made("fp8", 20_000_000, 9), made("nvfp4", 10, 1)]
    seconds, basis = expected_seconds("fp8", "modelopt", SHAPE, earlier)
    assert seconds == pytest.approx(80 * 8.030 / 8, rel=0.001)
    assert "of 8000000000" in basis


def test_a_smaller_model_is_not_counted_faster_than_the_tools_start() -> None:
    seconds, _basis = expected_seconds(
        "fp8", "modelopt", read_shape(QWEN3_SMALL), [made("fp8", 8_000_000_000, 80)]
    )
    assert seconds == 80


def test_without_an_earlier_artifact_a_stated_rule_tells_the_time() -> None:
    seconds, basis = expected_seconds("fp8", "modelopt", SHAPE, [])
    assert basis.startswith("rule: ")
    assert seconds > 600
    on_gpu, _basis = expected_seconds("fp8", "modelopt", SHAPE, [], on_gpu=True)
    # An H100 took 121 s.
    assert 100 < on_gpu < 180


def test_the_command_plans_memory_without_a_download() -> None:
    command = [*ASSAY, "capacity"]
    done = run([*command, "--memory", "16GiB", "--recipes", "bf16,nvfp4"])
    assert done.returncode == 0, done.stderr
    assert "nvfp4" in done.stdout
    refused = run([*command, "--memory", "16"])
    assert refused.returncode == 2
    assert "write for example 128GiB" in refused.stderr
