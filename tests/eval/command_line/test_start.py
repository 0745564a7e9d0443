"""``./assay`` before anything is installed: on a copy with nothing but a system's Python."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from eval.command_line.commands import COMMANDS, version
from quantize.root import ROOT

# All that must be there before set-up: no library, and no module that needs one.
NEEDED = (
    *("assay", "Makefile", "pyproject.toml"),
    *("quantize/root.py", "quantize/jobs", "deploy/setup", "deploy/envs"),
    *("eval/command_line/commands.py", "eval/command_line/start.py"),
)
PYTHON = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def run(checkout: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's ``assay`` from another folder, and from no environment of ours."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(PYTHON), str(checkout / "assay"), *words],
        cwd="/",
        env=clean | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("bench",)])
def test_help_lists_every_command(checkout: Path, words: tuple[str, ...]) -> None:
    done = run(checkout, *words)
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("up", "  assay up --variants gguf-q4_k_m\n"),
        ("status", "What runs, with health.\n"),
        ("setup", "--wheelhouse"),
    ],
)
def test_a_command_explains_itself_without_setting_anything_up(
    checkout: Path, name: str, expected: str
) -> None:
    done = run(checkout, name, "--help")
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert not (checkout / ".venvs").exists()


def test_the_version_is_that_of_the_project(checkout: Path) -> None:
    assert re.fullmatch(r"assay \d+\.\d+\.\d+", version())
    assert run(checkout, "--version").stdout == f"{version()}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if not COMMANDS[name].sets_up])
def test_a_command_for_what_runs_names_the_remedy(checkout: Path, name: str) -> None:
    done = run(checkout, name)
    assert done.returncode == 2
    assert done.stderr == "assay: nothing is installed yet: run `make setup` first\n"


def test_an_unknown_command_is_told_with_the_valid_ones(checkout: Path) -> None:
    done = run(checkout, "deploy")
    assert done.returncode == 2
    assert done.stderr == f"assay: no command 'deploy' (valid: {', '.join(COMMANDS)})\n"


@pytest.mark.parametrize("words", [("setup",), ("compare", "--plan", "cpu-demo")])
def test_a_command_that_needs_environments_begins_to_make_them(
    checkout: Path, words: tuple[str, ...]
) -> None:
    # What set-up asks of a machine first: this one seems to have no compiler.
    done = run(checkout, *words, PATH="/nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("set-up: no C/C++ compiler found")


def test_an_older_python_is_told_what_is_needed(checkout: Path) -> None:
    script = (checkout / "assay").read_text()
    asked, _, rest = script.partition("\nfrom eval")
    assert rest
    older = f"import sys\nsys.version_info, sys.version = (3, 9, 2), '3.9.2 (main)'\n{asked}"
    done = subprocess.run([str(PYTHON), "-c", older], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "assay: Python 3.9.2 runs this; 3.11 to 3.13 is needed: python3.11 ./assay …\n"
    )


def test_the_environments_script_is_made_by_set_up() -> None:
    """An editable install writes it from pyproject.toml's entry, which must exist."""
    scripts = Path(sysconfig.get_path("scripts"))
    entry = "from eval.command_line.start import installed; installed()"
    done = subprocess.run(
        [str(scripts / "python"), "-c", entry, "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{version()}\n", done.stderr
    assert 'assay = "eval.command_line.start:installed"' in (ROOT / "pyproject.toml").read_text()
