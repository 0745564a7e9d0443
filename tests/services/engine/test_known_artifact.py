"""An artifact is read again when it may be another, and only then."""

from pathlib import Path

from quantize.artifact.manifest import Manifest
from services.engine.known_artifact import KnownArtifact
from tests.services.test_variants import MANIFEST


def test_files_are_read_again_only_when_they_are_others(tmp_path: Path) -> None:
    checked: list[Path] = []

    def check(artifact: Path) -> Manifest:
        checked.append(artifact)
        return MANIFEST

    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"1")
    known = KnownArtifact(tmp_path, check)
    assert known.checked(if_changed=True) is MANIFEST
    known.checked(if_changed=True)
    assert len(checked) == 1
    known.checked(if_changed=False)
    assert len(checked) == 2, "one that crashed is read whatever it looks like"
    weights.write_bytes(b"2")
    known.checked(if_changed=True)
    assert len(checked) == 3, "the same size is not the same file"
    (tmp_path / "config.json").symlink_to(tmp_path / "gone")
    known.checked(if_changed=True)
    assert len(checked) == 4
