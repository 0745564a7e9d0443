"""What is made, reused and refused by a command; the recipe ``bf16`` needs no other environment."""

import json
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from quantize.artifact_check import check_artifact
from quantize.root import ROOT
from tests.quantize.made import command_of, make, run
from tests.quantize.tiny_model import make_tiny_model


def refused(command: list[str], **environment: str) -> str:
    """Run a command that must fail by its user's fault; returns its one line."""
    done = run(command, **environment)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_finished_artifact_is_reused(tmp_path: Path, tiny: Path, calibration_text: Path) -> None:
    command = command_of(tiny, tmp_path, calibration_text, "bf16")
    first, second = run(command), run(command)
    assert first.returncode == second.returncode == 0, first.stderr
    assert "made in" in first.stdout
    assert "reused" in second.stdout
    assert len(second.stdout.splitlines()) == 1


@pytest.mark.parametrize("damage", ["short file", "no manifest", "half a manifest", "other inputs"])
def test_a_damaged_or_stale_artifact_is_made_anew(
    tmp_path: Path, tiny: Path, calibration_text: Path, damage: str
) -> None:
    (artifact,), _ = make(tiny, tmp_path, calibration_text, "bf16")
    manifest = artifact / "manifest.json"
    if damage == "short file":
        (artifact / "tokenizer.model").write_bytes(b"short")
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_text(manifest.read_text()[:100])
    else:
        content = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(content | {"inputs_sha256": "of yesterday"}))
    _, lines = make(tiny, tmp_path, calibration_text, "bf16")
    assert "made in" in lines[0]
    assert ("what was there is damaged" in lines[0]) == (
        damage in {"short file", "half a manifest"}
    )
    check_artifact(artifact)


def test_two_processes_at_once_make_one_right_artifact(
    tmp_path: Path, calibration_text: Path
) -> None:
    model = make_tiny_model(tmp_path / "model", dtype="F32", hidden_size=512, layers=8)
    command = command_of(model, tmp_path / "artifacts", calibration_text, "bf16")
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("made in" in output for output in outputs) == 1
    assert sum("reused" in output for output in outputs) == 1
    check_artifact(next((tmp_path / "artifacts").glob("*/bf16")))


def test_an_unknown_recipe_is_refused_with_the_valid_names(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    line = refused(command_of(tiny, tmp_path, calibration_text, "gptq"))
    assert "unknown recipe 'gptq'" in line
    assert "gguf-q2_k" in line


def test_bad_models_are_refused_in_one_line(
    tmp_path: Path, model: Path, calibration_text: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    assert "truncated" in refused(command_of(model, artifacts, calibration_text, "bf16"))
    shutil.rmtree(model)
    assert "no model folder" in refused(command_of(model, artifacts, calibration_text, "bf16"))
    assert not list(artifacts.glob("*/bf16"))


def test_a_hub_name_without_network_is_explained(tmp_path: Path, calibration_text: Path) -> None:
    command = command_of("nobody/no-model", tmp_path, calibration_text, "bf16")
    line = refused(command, HOME=str(tmp_path))
    assert "'nobody/no-model' is no folder here and cannot be downloaded" in line
    assert "local copy" in line


def test_an_empty_calibration_text_is_refused_before_work(tmp_path: Path, tiny: Path) -> None:
    text = tmp_path / "empty.jsonl"
    text.write_text("\n")
    assert "holds no text" in refused(command_of(tiny, tmp_path / "a", text, "bf16"))


def test_a_write_that_fails_names_the_path_and_leaves_nothing(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    done = subprocess.run(
        command_of(tiny, tmp_path, calibration_text, "bf16"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 2
    assert ".bf16.partial/model.safetensors" in done.stderr
    assert not [path for path in tmp_path.glob("*/*") if "bf16" in path.name]


def test_a_directory_that_cannot_be_written_is_named(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    (tmp_path / "file").write_text("x")
    line = refused(command_of(tiny, tmp_path / "file", calibration_text, "bf16"))
    assert str(tmp_path / "file") in line
