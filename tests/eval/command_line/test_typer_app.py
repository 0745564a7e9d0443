"""The command line as a whole: it answers at once, and every mistake is one line.

covers: deploy/command_end.py, deploy/plan_choice.py, eval/command_line/*.py
"""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.command_line.commands import BENCHES, COMMANDS
from eval.command_line.typer_app import ACTIONS, make_app
from quantize.root import ROOT
from tests.assay_command import ASSAY

# Each takes as long to import as a user waits for an answer.
SLOW = ("ray", "scipy", "numpy", "lm_eval", "locust", "aiohttp", "pydantic", "yaml", "rich")


def run(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ASSAY, *words],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_of_the_table_has_its_action() -> None:
    assert set(ACTIONS) | {"bench"} == set(COMMANDS)


def test_help_imports_nothing_slow() -> None:
    code = (
        f"import sys, eval.command_line.typer_app\nprint([m for m in {SLOW} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_help_lists_every_command_with_its_whole_summary() -> None:
    text = " ".join(CliRunner().invoke(make_app(), ["--help"]).stdout.split())
    assert all(f"{name} {command.summary}" in text for name, command in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(name: str) -> None:
    done = CliRunner().invoke(make_app(), [name, "--help"])
    assert done.exit_code == 0
    assert "Examples:" in done.stdout
    assert all(f"assay {example}" in done.stdout for example in COMMANDS[name].examples)


@pytest.mark.parametrize("name", BENCHES)
def test_each_benchmark_is_where_the_table_says(name: str) -> None:
    assert find_spec(f"{BENCHES[name].module}.__main__")


def test_a_benchmark_gets_the_options_that_are_its_own() -> None:
    done = run("bench", "soak", "--help")
    assert done.returncode == 0, done.stderr
    assert "--minutes" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("up", "--plann", "x"), "assay up: No such option: --plann (Possible options: --plan)"),
        (("deploy",), "assay deploy: No such command 'deploy'."),
        (("up", "--plan"), "assay up: Option '--plan' requires an argument."),
        (("loadtest", "--plan", "mine"), "assay loadtest: no plan 'mine': give a file's path"),
        (("eval", "--model", "/no/folder"), "assay eval: no model folder '/no/folder'"),
        (
            ("compare", "--model", ""),
            "assay compare: Invalid value for '--model': it names nothing",
        ),
        (("capacity", "--model="), "assay capacity: Invalid value for '--model': it names nothing"),
        (("up", "--variants", ","), "assay up: Invalid value for '--variants': it names nothing"),
        (("conformance",), "assay conformance: unknown engine '' (valid: vllm,"),
        (("capacity", "--context", "0"), "assay capacity: Invalid value for '--context'"),
        (
            ("quantize", "--recipes", "fp8", "--variants", "gguf-q8_0"),
            "assay quantize: Invalid value: --recipes and --variants both say what is made",
        ),
        (("bench", "speed"), "assay bench: No such command 'speed'."),
    ],
)
def test_a_mistake_is_told_in_one_line(words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_a_plan_beside_the_user_is_found_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nvariants: [no-such]\nbaseline: no-such\n")
    done = run("report", "--plan", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path / 'mine.yaml'}:" in done.stderr


@pytest.mark.parametrize("option", [("--model", "./m"), ("--model=./m",)])
def test_a_benchmarks_model_beside_the_user_is_found_from_any_folder(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    (tmp_path / "m").mkdir()
    done = run("bench", "recipes", *option, cwd=tmp_path)
    assert done.returncode == 2
    assert str(tmp_path / "m") in done.stderr


def test_what_the_shell_says_decides_nothing(tmp_path: Path) -> None:
    told = run("quantize", "--help", PLAN="/no/plan", MODEL="/no/model", RAY_ADDRESS="10.0.0.1:1")
    assert told.stdout == run("quantize", "--help").stdout
    assert "env var" not in told.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_command_ends_with_130_and_one_line(number: int, tmp_path: Path) -> None:
    # The model is behind a pipe that nobody writes: the command waits for it.
    model = tmp_path / "config.json"
    os.mkfifo(model)
    process = subprocess.Popen(
        [*ASSAY, "capacity", "--model", str(model)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    with model.open("wb"):
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "assay capacity: stopped\n"


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (("",), "", list(COMMANDS)),
        (("up", "--plan", ""), "", ["container", "cpu-demo", "number-formats"]),
        (("up", "--variants", "gguf-q8_0,gguf-q2"), "", ["gguf-q8_0,gguf-q2_k"]),
        (("quantize", "--recipes", "nvfp4-q"), "", ["nvfp4-qat"]),
        (("conformance", "--engine", "v"), "", ["vllm"]),
        (("bench", "so"), "", ["soak"]),
    ],
)
def test_the_shell_completes_names(
    words: tuple[str, ...], incomplete: str, expected: list[str]
) -> None:
    line = " ".join(["assay", *words])
    done = run(_ASSAY_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    found = done.stdout.split()
    assert set(expected) <= set(found), done.stderr
    if len(expected) > 1 or words != ("",):
        assert all(item.startswith(words[-1]) for item in found)


def test_an_objective_that_a_variable_left_empty_is_no_objective_that_was_met() -> None:
    done = run("loadtest", "--url", "http://127.0.0.1:1/v1", "--slo", "")
    assert done.returncode == 2
    assert "--slo names none: write ttft=500ms" in done.stderr
