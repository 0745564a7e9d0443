"""The explorer's folder: made whole, reused, and never in the place of something else.

covers: eval/explore/figures_job.py, eval/explore/in_quantize/explorer_measurement.py
"""

import json
from pathlib import Path

import pytest

from eval.explore.explorer_figures import ExploreError, read_figures
from eval.explore.run import ExploreOrder, explore
from quantize.calibration.calibration_set import BUNDLED_TEXT
from quantize.source.source_model import fingerprint
from tests.assay_command import ASSAY
from tests.quantize.made import run

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_folder_that_holds_something_else_is_refused_and_untouched(
    tmp_path: Path, tiny: Path
) -> None:
    (tmp_path / "holiday.jpg").write_text("x")
    order = ExploreOrder(
        model=fingerprint(str(tiny)),
        calibration=BUNDLED_TEXT,
        artifacts=tmp_path / "artifacts",
        output=tmp_path,
        threads=2,
    )
    with pytest.raises(ExploreError, match="holds something else"):
        explore(order, lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.engine
def test_the_command_makes_page_pictures_and_figures_and_reuses_them(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    output = tmp_path / "seen"
    command = [
        *(*ASSAY, "explore", "--model", str(tiny)),
        *("--calibration-text", str(calibration_text), "--output", str(output)),
    ]
    first = run(command)
    assert first.returncode == 0, first.stderr
    assert "made in" in first.stdout
    found = read_figures(output)
    names = [path.name for path in output.iterdir()]
    assert len([name for name in names if name.endswith(".png")]) >= 15
    assert all((output / n).read_bytes().startswith(PNG) for n in names if n.endswith(".png"))
    # Two blocks of seven layers each, in five ways; FP8 harms less than four bits.
    felt = found.sensitivity
    assert len(felt.cells) == 2 * 7 * 5
    total = {f: sum(c.divergence for c in felt.cells if c.format == f) for f in felt.formats}
    assert total["fp8-e4m3"] < total["nvfp4"] < total["nvfp4+inputs"]
    exact = found.snr_of("weights", "bf16")
    assert exact is not None
    assert exact.median_db is None
    second = run(command)
    assert "reused" in second.stdout
    # Another drawing of the same figures measures nothing.
    (output / "index.html").write_text("old")
    third = run(command)
    assert "drawn anew" in third.stdout
    assert json.loads((output / "figures.json").read_text())["seconds"] == found.seconds
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["seen"]


@pytest.mark.engine
def test_too_short_a_text_is_refused_in_one_line_and_nothing_stays(
    tmp_path: Path, tiny: Path
) -> None:
    text = tmp_path / "short.jsonl"
    text.write_text('{"text": "ba da ka"}\n')
    done = run(
        [
            *(*ASSAY, "explore", "--model", str(tiny)),
            *("--calibration-text", str(text), "--output", str(tmp_path / "seen")),
        ]
    )
    assert done.returncode in (1, 2)
    assert "short.jsonl is too short" in done.stderr
    assert not (tmp_path / "seen").exists()
