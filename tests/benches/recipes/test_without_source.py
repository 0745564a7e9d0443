"""Where the unquantized artifact cannot be made there is nothing to compare with, and that is said.

covers: tests/benches/recipes/__main__.py
"""

import json
from pathlib import Path

import pytest

from tests.benches.harness import bench_figures
from tests.benches.harness.bench_command import parser_of
from tests.benches.harness.bench_run import VOID, BenchRun
from tests.benches.recipes import __main__ as recipes_bench


def test_without_the_unquantized_artifact_the_scores_are_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(recipes_bench, "ARTIFACTS_DIR", tmp_path / "file" / "no-folder")
    monkeypatch.setattr(bench_figures, "BENCH_DIR", tmp_path)
    arguments = parser_of(recipes_bench.BENCH).parse_args(["--recipes", "gguf-bf16"])
    run = BenchRun(name="recipes", selection={})
    with run.kept():
        recipes_bench.measure(run, arguments)
    told = json.loads((tmp_path / "recipes.json").read_text())["void"]
    assert [cell["cell"] for cell in told] == [
        "bf16: artifact",
        "gguf-bf16: artifact",
        "all scores",
    ]
    assert run.exit_code == VOID
