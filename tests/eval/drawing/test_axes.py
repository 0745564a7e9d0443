"""Ticks stand at their places; grid lines rise into the plot, strokes hang below it."""

import xml.etree.ElementTree as ET

import pytest

from eval.drawing.axes import axis_below, axis_beside

TICKS = [(20.0, "one"), (60.0, "two")]


def elements(drawn: str, name: str) -> list[ET.Element]:
    return list(ET.fromstring(f"<g>{drawn}</g>").iter(name))


@pytest.mark.parametrize(("grid_top", "ends"), [(10.0, ("10", "100")), (None, ("100", "104"))])
def test_ticks_below_reach_into_the_plot_or_hang_below_it(
    grid_top: float | None, ends: tuple[str, str]
) -> None:
    drawn = axis_below((5, 90), 100, TICKS, "all of it →", grid_top=grid_top)
    *ticks, rule = elements(drawn, "line")
    assert [(tick.get("x1"), tick.get("x2")) for tick in ticks] == [("20", "20"), ("60", "60")]
    assert all((tick.get("y1"), tick.get("y2")) == ends for tick in ticks)
    assert [rule.get(end) for end in ("x1", "x2", "y1", "y2")] == ["5", "90", "100", "100"]
    texts = elements(drawn, "text")
    assert [text.text for text in texts] == ["one", "two", "all of it →"]
    assert all(100 < float(text.get("y", "nan")) < 138 for text in texts)


def test_ticks_beside_cross_the_plot_with_their_words_before_it() -> None:
    drawn = axis_beside((30, 90), TICKS)
    lines, texts = elements(drawn, "line"), elements(drawn, "text")
    assert [(tick.get("x1"), tick.get("x2")) for tick in lines] == [("30", "90")] * 2
    assert [tick.get("y1") for tick in lines] == ["20", "60"]
    assert all(float(text.get("x", "nan")) < 30 for text in texts)
