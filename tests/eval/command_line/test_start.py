"""``./assay`` before anything is installed: on a copy with nothing but a system's Python."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deploy.setup.environments import DEFAULT, MARKER
from eval.command_line.commands import BENCHES, COMMANDS, version
from eval.command_line.start import _needed, start
from quantize.root import ROOT

# All that must be there before set-up: no library, and no module that needs one.
NEEDED = (
    *("assay", "Makefile", "pyproject.toml"),
    *("quantize/root.py", "quantize/jobs", "quantize/machine.py", "quantize/processors.py"),
    *("deploy/setup", "deploy/envs"),
    *(f"{name}/__init__.py" for name in ("quantize", "deploy", "eval", "eval/command_line")),
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


def run(
    checkout: Path, *words: str, python: Path = PYTHON, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the copy's ``assay`` from another folder, and from no environment of ours."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(python), str(checkout / "assay"), *words],
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


@pytest.mark.parametrize("name", ["eval", "quantize", "deploy"])
def test_modules_of_the_users_with_our_names_are_not_taken_for_ours(
    checkout: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    for safe_path in ("", "1"):
        done = run(checkout, "--version", PYTHONPATH=str(tmp_path), PYTHONSAFEPATH=safe_path)
        assert (done.returncode, done.stdout) == (0, f"{version()}\n"), done.stderr


@pytest.mark.parametrize(
    "name",
    [name for name in COMMANDS if not COMMANDS[name].environments and name != "wheelhouse"],
)
def test_a_command_for_what_runs_names_the_remedy(checkout: Path, name: str) -> None:
    done = run(checkout, name)
    assert done.returncode == 2
    assert done.stderr == "assay: nothing is installed yet: run `make setup` first\n"


def test_an_unknown_command_is_told_with_the_valid_ones(checkout: Path) -> None:
    done = run(checkout, "deploy")
    assert done.returncode == 2
    assert done.stderr == f"assay: no command 'deploy' (valid: {', '.join(COMMANDS)})\n"


def test_an_unknown_benchmark_is_told_before_anything_is_installed(checkout: Path) -> None:
    done = run(checkout, "bench", "speed", PATH="/nowhere")
    assert done.returncode == 2
    assert done.stderr == f"assay: no benchmark 'speed' (valid: {', '.join(BENCHES)})\n"


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (("capacity", "--model", "m"), ("control",)),
        (("quantize", "--dry-run"), ("control",)),
        (("explore",), ("control", "quantize")),
        (("compare",), tuple(DEFAULT)),
        (("bench", "client"), ("control",)),
        (("bench", "speed"), ()),
        (("status",), ()),
        (("compare", "--help"), ()),
        ((), ()),
    ],
)
def test_a_command_names_the_environments_that_it_needs(
    words: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    assert tuple(_needed(words)) == needed


@pytest.fixture
def inside(checkout: Path) -> Path:
    """The Python of the copy's control environment, made from other pins than today's."""
    control = checkout / ".venvs" / "control"
    subprocess.run([str(PYTHON), "-m", "venv", "--without-pip", str(control)], check=True)
    (control / MARKER).write_text(json.dumps({"hash": "of yesterday"}))
    return control / "bin" / "python"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("setup", "nonsense"), "assay setup: error: unknown: nonsense"),
        (("setup", "--wheelhouse", "/nowhere"), "--wheelhouse: no folder '/nowhere'"),
        (("wheelhouse", "--envs", "nonsense"), "assay wheelhouse: error: --envs: unknown"),
        (("setup",), "set-up: no C/C++ compiler found"),
        (("compare",), "set-up: no C/C++ compiler found"),
    ],
)
def test_set_up_from_inside_the_environment_runs_on_the_python_outside(
    checkout: Path, inside: Path, words: tuple[str, ...], message: str
) -> None:
    done = run(checkout, *words, python=inside, PATH="/nowhere")
    assert done.returncode == 2
    assert message in done.stderr


def test_an_environment_of_older_pins_is_told_with_the_remedy(checkout: Path, inside: Path) -> None:
    for python in (PYTHON, inside):
        done = run(checkout, "status", python=python)
        assert done.returncode == 2
        assert done.stderr == (
            "assay: this checkout needs other packages than are installed: run `make setup` first\n"
        )
        assert run(checkout, "status", "--help", python=python).returncode == 0


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
    (checkout / "older").write_text(older)
    command = [str(PYTHON), str(checkout / "older"), "down"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "assay: Python 3.9.2 runs this; 3.11 to 3.13 is needed: python3.11 ./assay …\n"
    )


def test_an_older_python_leaves_it_to_the_environment_that_another_made(checkout: Path) -> None:
    asked, _, _ = (checkout / "assay").read_text().partition("\nfrom eval")
    (checkout / "older").write_text(f"import sys\nsys.version_info = (3, 9, 2)\n{asked}")
    control = checkout / ".venvs" / "control" / "bin" / "python"
    control.parent.mkdir(parents=True)
    control.write_text('#!/bin/sh\necho "$@"\n')
    control.chmod(0o755)
    command = [str(PYTHON), str(checkout / "older"), "down"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{checkout / 'older'} down\n", done.stderr


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


@pytest.mark.parametrize("name", ["C", "POSIX", "C.UTF-8"])
def test_it_runs_under_every_locale(name: str) -> None:
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "python"), str(ROOT / "assay"), "--version"],
        env=os.environ | {"LC_ALL": name, "LANG": name, "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == f"{version()}\n", done.stderr


@pytest.mark.parametrize(
    ("shell", "encoding", "anew"),
    [
        ({}, "utf-8", False),
        ({}, "ISO-8859-1", True),
        ({"PYTHONPATH": "/elsewhere"}, "utf-8", True),
        ({"PYTHONSAFEPATH": "1"}, "utf-8", True),
    ],
)
def test_it_begins_anew_where_the_shell_decides_what_is_imported_or_how_files_are_read(
    shell: dict[str, str], encoding: str, anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: dict[str, str] = {"HOME": "/nonexistent", "no_proxy": "corp.internal", **shell}
    begun: list[str] = []

    def become(*_: object) -> None:
        begun.append("anew")
        sys.exit()

    monkeypatch.setattr(os, "environ", left)
    monkeypatch.setattr("eval.command_line.start._become", become)
    monkeypatch.setattr("eval.command_line.start._from_inside", lambda _words: sys.exit())
    monkeypatch.setattr("eval.command_line.start.CONTROL", Path(sys.prefix))
    monkeypatch.setattr("locale.getencoding", lambda: encoding)
    with pytest.raises(SystemExit):
        start(["status"])
    assert begun == ["anew"] * anew
    assert not shell.keys() & left.keys()
    assert left["PYTHONUTF8"] == "1"
    assert left["HOME"] == str(ROOT / ".run" / "home")
    assert left["NO_PROXY"] == "corp.internal,localhost,127.0.0.1,::1"


def test_an_environment_that_this_user_may_not_run_is_told_in_one_line(checkout: Path) -> None:
    control = checkout / ".venvs" / "control"
    (control / "bin").mkdir(parents=True)
    (control / MARKER).write_text("{}")
    (control / "bin" / "python").write_text("not executable, for root neither")
    done = run(checkout, "status")
    assert done.returncode == 2
    assert "control/bin/python may not be run by this user" in done.stderr
    assert done.stderr.count("\n") == 1
