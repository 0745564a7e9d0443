"""The page says what the figures say, whatever the model is called and whatever is missing.

covers: eval/drawing/numbers.py, eval/explore/chart_bits.py, eval/explore/chart_blocks.py,
eval/explore/chart_errors.py, eval/explore/chart_frame.py, eval/explore/chart_grids.py,
eval/explore/chart_heat.py, eval/explore/chart_layers.py, eval/explore/chart_tradeoff.py,
eval/explore/explorer_panels.py, eval/explore/explorer_figures.py, eval/explore/sections.py,
eval/explore/words.py
"""

import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest

from eval.explore.explorer_figures import FIGURES_NAME, ExploreError, read_figures
from eval.explore.explorer_page import pictures, render
from tests.eval.explore.examples import db_of, figures

HOSTILE = "<script>alert('x')</script>\"&{{ 7 * 7 }}"


@pytest.mark.parametrize("run", [True, False], ids=["run", "too large"])
def test_every_drawing_is_well_formed_and_stands_on_the_page(run: bool) -> None:
    found = figures(run=run)
    page = render(found)
    drawings = pictures(found)
    assert len(drawings) >= 14
    for name, drawing in drawings.items():
        root = ET.fromstring(drawing)
        assert root.find("title") is not None
        assert drawing in page
        assert f'id="figure-{name}"' in page
        assert "nan" not in drawing
        assert "None" not in drawing


def test_the_table_holds_every_snr() -> None:
    page = render(figures())
    written = {float(v) for v in re.findall(r'data-v="(-?[0-9.]+)"', page)}
    for facts in figures().formats:
        for data in ("gaussian", "channels", "inputs"):
            assert facts.name == "fp32" or db_of(facts.bits, data) in written


def test_the_words_hold_numbers_of_the_figures() -> None:
    page = unescape(render(figures()))
    assert f"Of the formats of 4 to 5 bits NVFP4 keeps these weights best ({db_of(4.5, 'weights'):.1f} dB)" in page  # fmt: skip # noqa: E501
    assert "Most sensitive: down_proj of block 1" in page
    assert "(unquantized loss 1.200 nats per token)" in page
    assert "At 16 values that is worth 2.0 dB" in page


def test_a_model_that_was_not_run_says_why() -> None:
    page = render(figures(run=False))
    assert "Not measured: too large." in page
    assert "Only the weights were measured" in page


def test_a_hostile_name_stays_a_name() -> None:
    page = render(figures(model=HOSTILE))
    assert page.count("<script>") == 1
    assert "49" not in re.findall(r"<dd>(.*?)</dd>", page)[0]


def test_nothing_is_loaded_from_outside() -> None:
    page = render(figures()).split("</style>")[1]
    assert not re.search(r"https?:|@import|url\(|src=", page)


def test_figures_that_are_missing_or_malformed_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(ExploreError, match=r"figures\.json: No such file"):
        read_figures(tmp_path)
    (tmp_path / FIGURES_NAME).write_text('{"model": 3}')
    with pytest.raises(ExploreError, match=r"figures\.json"):
        read_figures(tmp_path)


def test_figures_survive_their_file(tmp_path: Path) -> None:
    (tmp_path / FIGURES_NAME).write_text(figures().model_dump_json())
    assert read_figures(tmp_path) == figures()
