"""Every colour that carries text is readable, in the light and in the dark.

covers: eval/drawing/shell.py
"""

import re

import pytest

from eval.drawing.palette import COLOURS, in_light, variables
from eval.drawing.shell import look, marks

INKS = ["ink", "muted", "good", "bad", "unsure", *(f"e{hue}" for hue in range(6))]
GROUNDS = ["paper", "panel"]
TINTED = [("ink", "good-bg"), ("good", "good-bg"), ("bad", "bad-bg"), ("unsure", "unsure-bg"),
          ("muted", "good-bg"), ("e1", "good-bg"), ("e0", "good-bg")]  # fmt: skip


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1."""
    digits = colour.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_reaches_the_contrast_of_level_aa(mode: int) -> None:
    for ink, ground in [*((i, g) for i in INKS for g in GROUNDS), *TINTED]:
        one, other = sorted(luminance(COLOURS[name][mode]) for name in (ink, ground))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (ink, ground)


def test_a_page_defines_every_colour_in_both_modes_and_names_no_other() -> None:
    light, dark = (
        dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,8});", block))
        for block in re.findall(r":root \{(.*?)\}", variables())
    )
    assert {name: (light[name], dark[name]) for name in light} == COLOURS
    assert set(re.findall(r"var\(--([\w-]+)\)", look())) <= COLOURS.keys()


def test_a_pictures_sheet_has_the_light_colours_in_place_of_their_names() -> None:
    sheet = in_light(marks())
    assert "var(" not in sheet
    assert f".e1 {{ color: {COLOURS['e1'][0]}; }}" in sheet
    with pytest.raises(KeyError, match="no-such"):
        in_light(".bar { fill: var(--no-such); }")
