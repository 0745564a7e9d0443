"""A picture shows the drawing in the page's light colours, with every letter and symbol.

covers: eval/drawing/glyphs.py
"""

import struct
import subprocess
from pathlib import Path

import pytest
from markupsafe import Markup

from eval.drawing.glyphs import Mark, glyph
from eval.drawing.palette import COLOURS
from eval.drawing.picture import MARGIN, SCALE, png
from eval.drawing.svg import drawing, tag, text
from quantize.jobs.environment import python_of

COUNT = """
import sys
from PIL import Image
for count, (red, green, blue) in Image.open(sys.argv[1]).convert("RGB").getcolors(1 << 24):
    print(f"#{red:02x}{green:02x}{blue:02x}", count)
"""


def small(*parts: Markup) -> bytes:
    return png(drawing(100, 40, "a picture", *parts))


def colours(picture: bytes, folder: Path) -> dict[str, int]:
    """How many pixels have which colour, read by a decoder that is not ours."""
    path = folder / "picture.png"
    path.write_bytes(picture)
    told = subprocess.check_output([python_of("quantize"), "-c", COUNT, path], text=True)
    return {words.split()[0]: int(words.split()[1]) for words in told.splitlines()}


def test_a_picture_has_the_drawings_size_and_some_paper_around_it() -> None:
    picture = small()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == (SCALE * (100 + 2 * MARGIN), SCALE * (40 + 2 * MARGIN))


@pytest.mark.parametrize("words", ["−", "→", "↑", "…", "×", "·", "²", "ä"])
def test_the_letters_of_our_words_are_in_the_renderers_font(words: str) -> None:
    # A letter that no font has leaves nothing or the same box for all.
    assert small(text(5, 20, words)) not in (small(), small(text(5, 20, "\U000f1234")))


@pytest.mark.parametrize("hollow", [False, True])
def test_every_hue_gives_another_picture(hollow: bool) -> None:
    looks = [Mark(key=0, hue=hue, shape="star", hollow=hollow) for hue in range(6)]
    assert len({small(glyph(look, 50, 20)) for look in looks}) == 6


@pytest.mark.engine
def test_its_colours_are_those_of_the_palette(tmp_path: Path) -> None:
    bar = tag("rect", x=10, y=10, width=30, height=20, class_="bar e1")
    hollow = glyph(Mark(key=0, hue=2, shape="square", hollow=True), 70, 20, 8)
    found = colours(small(bar, hollow), tmp_path)
    assert found[COLOURS["e1"][0]] == 30 * 20 * SCALE**2
    assert found[COLOURS["e2"][0]] > 50
    paper = COLOURS["paper"][0].replace("#fff", "#ffffff")
    assert max(found, key=lambda colour: found[colour]) == paper
