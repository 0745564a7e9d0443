"""``make`` passes on what stands on its command line, as it was typed, and nothing else.

covers: Makefile
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.command_line.commands import BENCHES, COMMANDS
from quantize.root import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
# Stands where ``assay`` would, and says what it was given.
SAYS = """import json, os, sys
print(json.dumps([sys.argv[1:], {name: os.environ.get(name) for name in %r}]))
"""
VARIABLES = ("PLAN", "MODEL", "VARIANTS", "RAY_ADDRESS", "ENGINE", "DRY_RUN", "MAKEFLAGS")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile beside an ``assay`` that only tells its arguments and its environment."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "assay").write_text(SAYS % (VARIABLES,))
    return tmp_path


def make(folder: Path, *words: str, **variables: str) -> list[list[str] | dict[str, str | None]]:
    # Under ``make test``, MAKELEVEL would have this make say which folder it enters.
    told = (*VARIABLES, "MAKELEVEL", "MFLAGS")
    clean = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run(
        # The last of one name counts: what a test says of PYTHON stands.
        ["make", f"PYTHON={sys.executable}", *words],
        cwd=folder,
        env=clean | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[str] | dict[str, str | None]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["compare", "PLAN=cpu-demo"], ["compare", "--plan=cpu-demo"]),
        (["deploy-all", "RAY_ADDRESS=10.0.0.1:6379"], ["up", "--ray-address=10.0.0.1:6379"]),
        (["deploy-all"], ["up"]),
        (["quantize", "DRY_RUN=1"], ["quantize", "--dry-run"]),
        (["quantize", "DRY_RUN=", "MODEL="], ["quantize"]),
        (["quantize", "DRY_RUN=yes"], ["quantize", "--dry-run"]),
        (["quantize", "DRY_RUN=0"], ["quantize"]),
        (["bench-serving", "PROFILE=0"], ["bench", "serving"]),
        (["conformance", "ENGINE=vllm"], ["conformance", "--engine=vllm"]),
        (["setup", "WHEELHOUSE=/media/my wheels"], ["setup", "--wheelhouse=/media/my wheels"]),
        (["status", "MACHINE=1"], ["status", "--machine"]),
        (["setup", "BUILD=cuda13"], ["setup", "--build=cuda13"]),
        (["setup", "ARCHITECTURES=90;120"], ["setup", "--architectures=90;120"]),
        (
            ["wheelhouse", "PYTHON=3.12", "CUDA=13", "SYSTEM=a b.txt", "ENVS=vllm", "PART_MB=58"],
            [
                *("wheelhouse", "--python=3.12", "--cuda=13", "--system=a b.txt"),
                *("--envs=vllm", "--part-mb=58"),
            ],
        ),
        (["loadtest", "SLO=ttft=1s"], ["loadtest", "--slo=ttft=1s"]),
        (["loads", "FILE=a b.json", "LLMD=out"], ["loads", "--llmd=out", "a b.json"]),
        (["bench-soak", "MINUTES=5"], ["bench", "soak", "--minutes=5"]),
        (["bench-serving", "PROFILE=1"], ["bench", "serving", "--profile"]),
        (["bench-faults", "FAULTS=a,b"], ["bench", "faults", "--faults=a,b"]),
    ],
)
def test_an_option_on_the_command_line_reaches_the_command(
    folder: Path, words: list[str], expected: list[str]
) -> None:
    assert make(folder, *words)[0] == expected


@pytest.mark.parametrize(
    "value",
    [
        "/tmp/my modèl (v1)",
        "a'b",
        'a"b',
        "$x $$ $(shell echo no) ${HOME} `id`",
        "$(unclosed",
        "#1 \\ % ; & | > * ?",
        "--plan",
        "名前",
    ],
)
def test_a_value_reaches_the_command_as_it_was_typed(folder: Path, value: str) -> None:
    assert make(folder, "compare", f"MODEL={value}")[0] == ["compare", f"--model={value}"]


@pytest.mark.parametrize("target", ["compare", "deploy-all", "quantize", "conformance"])
def test_a_variable_of_the_shell_decides_nothing(folder: Path, target: str) -> None:
    shell = {name: "of-the-shell" for name in VARIABLES if name != "MAKEFLAGS"}
    words, _ = make(folder, target, **shell)
    assert words == [{"deploy-all": "up"}.get(target, target)]


def test_what_make_was_told_is_not_told_again_by_the_environment(folder: Path) -> None:
    """Ray would take RAY_ADDRESS from there, and a tool's own make its MAKEFLAGS."""
    _, seen = make(folder, "deploy-all", "RAY_ADDRESS=10.0.0.1:6379", "MODEL=a b", "PLAN=$(x")
    assert seen == dict.fromkeys(VARIABLES)


def test_every_command_and_benchmark_has_its_target() -> None:
    called = {line.split("$(ASSAY) ")[1] for line in MAKEFILE.splitlines() if "@$(ASSAY) " in line}
    for name in COMMANDS.keys() - {"bench", "capacity"}:
        assert any(line.split()[0] == name for line in called), name
    for name in BENCHES:
        assert any(line.split()[:2] == ["bench", name] for line in called), name
