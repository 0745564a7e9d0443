"""What a node must have: the checkout, the environments, the artifacts, all as they are here."""

import json
from pathlib import Path

import pytest

from deploy.ray_cluster.node_check import belongings, difference


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A small checkout."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch(mode=0o755)
    (tmp_path / "relay.py").write_text("1")
    files = [{"path": "model.gguf", "sha256": "ab"}]
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files, "seconds": 1}))
    return tmp_path


def paths(node: Path) -> list[str]:
    return [str(node / name) for name in ("bin/python", "relay.py", "manifest.json")]


def test_two_looks_at_the_same_machine_are_the_same(node: Path) -> None:
    here = belongings(paths(node))
    assert difference("n", node, here, belongings(paths(node))) is None
    assert None not in here.values()


def test_an_artifact_is_its_files_however_long_it_took(node: Path) -> None:
    here = belongings(paths(node))
    manifest = json.loads((node / "manifest.json").read_text())
    (node / "manifest.json").write_text(json.dumps(manifest | {"seconds": 2}))
    assert belongings(paths(node)) == here
    manifest["files"][0]["sha256"] = "cd"
    (node / "manifest.json").write_text(json.dumps(manifest))
    told = difference("n", node, here, belongings(paths(node)))
    assert told is not None
    assert "node n has another manifest.json: every node needs this checkout" in told


def test_what_is_missing_or_other_is_named_and_counted(node: Path) -> None:
    here = belongings(paths(node))
    (node / "bin" / "python").chmod(0o644)
    (node / "manifest.json").write_text("{}")
    (node / "relay.py").write_text("2")
    told = difference("10.0.0.2", node, here, belongings(paths(node)))
    assert told is not None
    assert "node 10.0.0.2 lacks bin/python (and 1 more) and has another relay.py" in told
