"""The files of two runs: JSON by its published schema, Markdown for a pull request, CSV, exit code.

covers: eval/two_runs/change_words.py, eval/two_runs/__main__.py
"""

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from eval.command_line.measuring_commands import report
from eval.two_runs.change_words import as_csv, as_markdown, as_text
from eval.two_runs.written import (
    SCHEMA_PATH,
    VoidError,
    WorseError,
    published_schema,
    write_change,
)
from tests.eval.report import builders
from tests.eval.run_on_disk import BASE, flipped
from tests.eval.two_runs import runs


@pytest.fixture(name="worse")
def fixture_worse(tmp_path: Path) -> tuple[str, str]:
    slower = runs.with_rounds(builders.comparison(runs.TWO), 0.8)
    samples = {"gguf-q8_0": runs.asked(flipped(BASE, to_wrong=60, to_right=5))}
    after = runs.write(tmp_path / "after", slower, samples, versions={"vllm": "9"})
    return str(runs.write(tmp_path / "before")), str(after)


def test_the_published_schema_is_the_models_and_the_file_keeps_it(worse: tuple[str, str]) -> None:
    schema = json.loads(SCHEMA_PATH.read_text())
    assert schema == published_schema(), "write it again: python -m eval.two_runs"
    jsonschema.Draft202012Validator.check_schema(schema)
    _, folder = write_change(*worse)
    content = json.loads((folder / "change.json").read_text())
    jsonschema.validate(content, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"outcome": "fine"}, schema)


def test_the_files_stand_in_the_later_run_or_where_one_says(
    worse: tuple[str, str], tmp_path: Path
) -> None:
    _, folder = write_change(*worse)
    assert folder == Path(worse[1]) / "since-before"
    assert {path.name for path in folder.iterdir()} == {"change.json", "change.md", "change.csv"}
    assert write_change(*worse, folder=tmp_path / "x" / "y")[1] == tmp_path / "x" / "y"


def test_the_answer_names_what_is_worse_and_what_differs(worse: tuple[str, str]) -> None:
    told, _ = write_change(*worse)
    text = as_text(told)
    assert told.sentence.startswith("Worse: ")
    assert "✗ worse" in text
    assert "vllm: 0.11.2 → 9" in text
    assert "-5.5 points" in text
    assert "0.80x" in text


def test_markdown_is_a_table_whose_cells_stay_cells(worse: tuple[str, str]) -> None:
    told, _ = write_change(*worse)
    renamed = [it.model_copy(update={"variant": "a|b<script>"}) for it in told.changes]
    lines = as_markdown(told.model_copy(update={"changes": renamed})).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert lines[0] == "### ❌ `before` → `after`"
    assert {line.replace("\\|", "").count("|") for line in table} == {10}
    assert "<script>" not in "".join(lines)
    assert sum(line.startswith("| ✗ worse") for line in table) == sum(
        it.finding == "worse" for it in told.changes
    )


def test_csv_has_a_row_per_figure_with_exact_numbers(worse: tuple[str, str]) -> None:
    told, _ = write_change(*worse)
    rows = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert len(rows) == len(told.changes)
    assert [float(row["change"]) for row in rows] == [it.change.value for it in told.changes]


def test_the_command_ends_with_an_error_where_something_is_worse(
    worse: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WorseError, match="proven worse"):
        report(runs=list(worse), markdown=True)
    assert capsys.readouterr().out.startswith("### ❌")
    report(runs=[worse[0], worse[0]])
    assert "Nothing is proven worse" in capsys.readouterr().out
    void = runs.changed(
        runs.with_rounds(builders.comparison(runs.TWO)), "gguf-q8_0", void=["others"]
    )
    disturbed = runs.write(Path(worse[0]).parent / "disturbed", void)
    with pytest.raises(VoidError) as error:
        report(runs=[worse[0], str(disturbed)])
    assert error.value.exit_code == 3
    with pytest.raises(ValueError, match="name two runs, the earlier first"):
        report(runs=[worse[0]])
