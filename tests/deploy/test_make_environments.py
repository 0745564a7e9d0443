"""What a command turns out to need is made outside of the environments, and only where missing."""

import sys
from pathlib import Path

import pytest

from deploy import make_environments as module
from deploy.make_environments import make_environments
from deploy.setup import environments
from quantize.methods import environments_of
from quantize.root import ROOT


def test_set_up_is_started_on_the_python_that_the_environments_are_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(module, "_run", started.append)
    monkeypatch.setattr(environments, "VENVS", tmp_path)
    make_environments([])
    assert started == []
    make_environments(["fuzz"])
    ((python, *words),) = started
    assert words == [str(ROOT / "assay"), "setup", "fuzz"]
    assert Path(python).is_relative_to(sys.base_prefix)


@pytest.mark.parametrize(
    ("recipe", "needed"),
    [
        ("bf16", []),
        ("gptq-int4-g128", ["quantize"]),
        ("gguf-q4_k_m", ["llamacpp", "quantize"]),
    ],
)
def test_a_dry_run_needs_what_can_tell_the_versions(recipe: str, needed: list[str]) -> None:
    assert environments_of([recipe]) == needed
