"""Scales are right, ticks are round, and no text breaks out of its element."""

import xml.etree.ElementTree as ET

import pytest

from eval.drawing.svg import Scale, fit, tag


def test_a_logarithmic_scale_spaces_ratios_evenly() -> None:
    scale = Scale(low=1, high=16, start=0, end=100, logarithmic=True)
    assert [scale(v) for v in (1, 4, 16)] == pytest.approx([0, 50, 100])
    assert Scale(low=3, high=3, start=0, end=10)(3) == 5


@pytest.mark.parametrize(("low", "high"), [(0.0, 941.0), (-0.048, 0.02), (1e-9, 3e-9)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = Scale(low=low, high=high, start=0, end=1).ticks(5)
    assert 2 <= len(ticks) <= 11
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in ticks)


def test_text_in_drawings_is_escaped_and_free_of_control_characters() -> None:
    drawn = tag("text", '<script>"&\x00', aria_label='"><script>')
    element = ET.fromstring(drawn)
    assert element.text == '<script>"&'
    assert element.get("aria-label") == '"><script>'


def test_long_names_are_cut_with_an_ellipsis() -> None:
    assert fit("a" * 100, 60).endswith("…")
    assert fit("short", 200) == "short"
