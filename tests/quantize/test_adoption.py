"""What the version of numbered methods made is taken over once, and then held to its code."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from quantize import adoption
from quantize import order as order_module
from quantize.artifact.manifest import MANIFEST_NAME, read_manifest
from quantize.calibration.calibration_set import calibration_plan
from quantize.jobs.workbench import locked
from quantize.order import Item, Order, plan_items, reusable
from quantize.recipes.catalogue import RECIPES
from quantize.source.source_model import REFERENCE, fingerprint
from tests.quantize.made import make

# The keys that version gave to every recipe of the reference model, with these tools.
EARLIER = json.loads((Path(__file__).parent / "earlier_keys.json").read_text())


@pytest.fixture
def bundled(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model in the place of the bundled one."""
    monkeypatch.setattr(adoption, "REFERENCE", str(tiny))
    return tiny


def items(monkeypatch: pytest.MonkeyPatch) -> dict[str, Item]:
    monkeypatch.setattr(order_module, "installed_version", lambda _, name: EARLIER["with"][name])
    order = Order(
        model=fingerprint(REFERENCE),
        recipe_names=tuple(RECIPES),
        calibration=calibration_plan("bundled", 64, 512),
        artifacts=Path("nowhere"),
        threads=2,
    )
    return {item.recipe.name: item for item in plan_items(order)}


def test_every_recipe_has_the_key_that_the_numbered_version_gave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {name: item.earlier_key for name, item in items(monkeypatch).items()}
    assert {name: found.get(name) for name in EARLIER["keys"]} == EARLIER["keys"]


def aged(artifact: Path, key: str | None) -> None:
    """Give an artifact the manifest that the numbered version would have written."""
    assert key is not None
    path = artifact / MANIFEST_NAME
    content = json.loads(path.read_text()) | {"schema_version": 1, "inputs_sha256": key}
    del content["made_from"]
    path.write_text(json.dumps(content))


def test_an_artifact_of_that_version_is_reused_and_described_anew(
    tmp_path: Path, bundled: Path, calibration_text: Path
) -> None:
    (artifact,), _ = make(bundled, tmp_path, calibration_text, "bf16")
    new = read_manifest(artifact)
    aged(artifact, _item(bundled, tmp_path, calibration_text).earlier_key)
    weights = (artifact / "model.safetensors").stat()
    _, lines = make(bundled, tmp_path, calibration_text, "bf16")
    assert "reused" in lines[0]
    assert read_manifest(artifact) == new
    assert (artifact / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns


def test_commands_that_adopt_one_artifact_at_once_take_turns(
    tmp_path: Path, bundled: Path, calibration_text: Path
) -> None:
    (artifact,), _ = make(bundled, tmp_path, calibration_text, "bf16")
    new = read_manifest(artifact)
    aged(artifact, _item(bundled, tmp_path, calibration_text).earlier_key)
    old = (artifact / MANIFEST_NAME).read_bytes()
    with ThreadPoolExecutor(4) as pool:
        with locked(artifact, lambda: None):
            made = [
                pool.submit(make, bundled, tmp_path, calibration_text, "bf16") for _ in range(4)
            ]
            assert not wait(made, timeout=1).done
            assert (artifact / MANIFEST_NAME).read_bytes() == old
        for each in made:
            _, lines = each.result(timeout=30)
            assert "reused" in lines[0]
            assert "waiting" in lines[1]
    assert read_manifest(artifact) == new


def test_an_old_artifact_where_nothing_can_be_written_is_used_as_it_is(
    tmp_path: Path, bundled: Path, calibration_text: Path
) -> None:
    (artifact,), _ = make(bundled, tmp_path, calibration_text, "bf16")
    aged(artifact, _item(bundled, tmp_path, calibration_text).earlier_key)
    old = (artifact / MANIFEST_NAME).read_bytes()
    # Nobody can take the lock, root neither, whom a folder's mode does not stop.
    shutil.rmtree(artifact.parent / ".locks")
    (artifact.parent / ".locks").write_bytes(b"")
    artifact.parent.chmod(0o555)
    try:
        made, lines = make(bundled, tmp_path, calibration_text, "bf16")
    finally:
        artifact.parent.chmod(0o755)
    assert made == [artifact]
    assert ["reused" in line for line in lines] == [True]
    assert (artifact / MANIFEST_NAME).read_bytes() == old


def test_an_adopted_artifact_is_made_anew_when_its_code_changes_and_says_so(
    tmp_path: Path, bundled: Path, calibration_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artifact,), _ = make(bundled, tmp_path, calibration_text, "bf16")
    aged(artifact, _item(bundled, tmp_path, calibration_text).earlier_key)
    make(bundled, tmp_path, calibration_text, "bf16")
    monkeypatch.setattr(order_module, "code_sha256", lambda *_: "c0de" * 16)
    _, lines = make(bundled, tmp_path, calibration_text, "bf16")
    assert lines[0].endswith("(made anew: code changed)")
    assert read_manifest(artifact).made_from["code"] == "c0de" * 16


def test_an_old_artifact_of_other_inputs_is_not_taken_over(
    tmp_path: Path, bundled: Path, calibration_text: Path
) -> None:
    (artifact,), _ = make(bundled, tmp_path, calibration_text, "bf16")
    aged(artifact, "of other inputs")
    assert reusable(_item(bundled, tmp_path, calibration_text)) is None
    _, lines = make(bundled, tmp_path, calibration_text, "bf16")
    assert lines[0].endswith("(made anew: it does not say what it was made from)")


def test_of_another_model_than_the_bundled_one_no_old_artifact_is_taken_over(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    assert _item(tiny, tmp_path, calibration_text).earlier_key is None


def _item(model: Path, artifacts: Path, text: Path) -> Item:
    order = Order(
        model=fingerprint(str(model)),
        recipe_names=("bf16",),
        calibration=calibration_plan(str(text), samples=8, sequence_length=128),
        artifacts=artifacts,
        threads=2,
    )
    return plan_items(order)[0]
