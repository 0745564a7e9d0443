"""Every colour that carries text is readable, in the light and in the dark."""

import re

import pytest

from eval.drawing.shell import look

CSS = str(look())
INKS = ["ink", "muted", "good", "bad", "unsure", *(f"e{hue}" for hue in range(6))]
GROUNDS = ["paper", "panel"]
TINTED = [("ink", "good-bg"), ("good", "good-bg"), ("bad", "bad-bg"), ("unsure", "unsure-bg"),
          ("muted", "good-bg"), ("e1", "good-bg"), ("e0", "good-bg")]  # fmt: skip


def palette(*, dark: bool) -> dict[str, str]:
    """The colours of one mode; the dark ones stand in the media query, which comes second."""
    block = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[int(dark)]
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,8})", block))


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1."""
    digits = colour.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_reaches_the_contrast_of_level_aa(dark: bool) -> None:
    colours = palette(dark=dark)
    for ink, ground in [*((i, g) for i in INKS for g in GROUNDS), *TINTED]:
        one, other = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (ink, ground)


def test_both_modes_define_the_same_colours() -> None:
    assert palette(dark=False).keys() == palette(dark=True).keys()
