"""What a benchmark measured is kept: beside void cells, through a stop, and whole runs' files."""

import json
from pathlib import Path

import pytest

from tests.benches.harness import bench_figures
from tests.benches.harness.bench_command import Bench, add_names, parser_of, run_of
from tests.benches.harness.bench_figures import Figure, at_least, at_most
from tests.benches.harness.bench_run import CUT_OFF, MET, MISSED, VOID, BenchRun


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench_figures, "BENCH_DIR", tmp_path / "bench")
    return tmp_path / "bench"


def a_run(**selection: object) -> BenchRun:
    return BenchRun(name="some", selection=selection)


def good(name: str = "good") -> Figure:
    return at_most(name, 1, "s", 2, 4)


def test_a_cell_that_raises_is_void_and_named_and_the_rest_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run()
    with run.kept():
        for cell in ("c=1", "c=64", "c=4"):
            with run.cell(cell):
                if cell == "c=64":
                    raise RuntimeError("no request was finished in the window")
                run.figures.append(good(cell))
    content = json.loads((folder / "some.json").read_text())
    assert [figure["name"] for figure in content["figures"]] == ["c=1", "c=4"]
    reason = "no request was finished in the window"
    assert content["void"] == [{"cell": "c=64", "reason": reason}]
    assert run.exit_code == VOID
    assert f"void: c=64: {reason}" in capsys.readouterr().out


def test_a_whole_run_is_figures_and_environment_and_nothing_void(folder: Path) -> None:
    run = a_run()
    with run.kept():
        run.figures.append(good())
    content = json.loads((folder / "some.json").read_text())
    assert set(content) == {"figures", "environment"}
    assert content["figures"] == [
        {
            "name": "good",
            "value": 1,
            "unit": "s",
            "against": 4,
            "ratio": 0.25,
            "limit": 2,
            "met": True,
        }
    ]
    assert run.exit_code == MET


def test_a_missed_limit_is_told_before_a_void_cell() -> None:
    run = a_run()
    run.figures = [good(), at_least("slow", 1, "tok/s", 2)]
    run.leave_out("c=64", "why")
    assert run.exit_code == MISSED


def test_a_selection_never_overwrites_the_file_of_a_whole_run(folder: Path) -> None:
    with (whole := a_run()).kept():
        whole.figures.append(good())
    before = (folder / "some.json").read_bytes()
    with (run := a_run(faults=("kill",))).kept():
        run.figures.append(good())
        run.beside["-rows.txt"] = lambda path: path.touch()
    assert (folder / "some.json").read_bytes() == before
    content = json.loads((folder / "some-partial.json").read_text())
    assert content["selection"] == {"faults": ["kill"]}
    assert (folder / "some-partial-rows.txt").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), KeyError("a fault of ours")])
def test_what_was_measured_before_a_stop_or_a_fault_is_kept_and_not_as_a_whole_run(
    folder: Path, error: BaseException
) -> None:
    run = a_run()

    def measure() -> None:
        with run.kept(), run.cell("c=1"):
            run.figures.append(good())
            raise error

    with pytest.raises(type(error)):
        measure()
    content = json.loads((folder / "some-partial.json").read_text())
    assert [figure["name"] for figure in content["figures"]] == ["good"]
    assert [cell["cell"] for cell in content["void"]] == [CUT_OFF]
    assert not (folder / "some.json").exists()


def test_a_run_that_measured_nothing_writes_nothing(folder: Path) -> None:
    with pytest.raises(ValueError, match="no such plan"), a_run().kept():
        raise ValueError("no such plan")
    assert not folder.exists()


def a_bench() -> Bench:
    return Bench(
        name="some",
        about="Measures.",
        measure=lambda _run, _arguments: None,
        add_options=lambda parser: add_names(parser, "--faults", ["kill", "hang"]),
    )


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ([], {}),
        (["--faults", "hang,kill"], {}),
        (["--faults", "hang"], {"faults": ("hang",)}),
    ],
)
def test_every_option_that_is_not_at_its_default_makes_a_selection(
    words: list[str], selection: dict[str, object]
) -> None:
    parser = parser_of(a_bench())
    assert run_of(a_bench(), parser, parser.parse_args(words)).selection == selection


def test_an_unknown_name_is_refused_with_the_valid_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser_of(a_bench()).parse_args(["--faults", "kil"])
    assert caught.value.code == 2
    assert "unknown name 'kil' (valid: kill, hang)" in capsys.readouterr().err
