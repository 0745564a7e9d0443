"""PNG pictures of our own drawings, as a browser shows them in the light mode.

Rendered by resvg, which vl-convert brings along with its own fonts: a picture needs no browser.
"""

import xml.etree.ElementTree as ET

import vl_convert

from eval.drawing.palette import in_light
from eval.drawing.shell import marks

# Pixels per unit of the drawing, and the paper around it.
SCALE, MARGIN = 2, 12
# The first is in vl-convert itself, so that letters are as wide on every machine.
_FONTS = '"Liberation Sans", Arial, Helvetica, sans-serif'
_PAPER = "svg { font-family: %s; } .paper { fill: var(--paper); }"


def png(drawing: str) -> bytes:
    """The drawing on white paper, two pixels per unit."""
    return vl_convert.svg_to_png(_standalone(drawing), scale=SCALE)


def _standalone(drawing: str) -> str:
    """The drawing as a file of its own: with its name space, its sheet and some paper around it."""
    root = ET.fromstring(drawing)
    width, height = (int(part) + 2 * MARGIN for part in root.attrib["viewBox"].split()[2:])
    place = {"x": str(-MARGIN), "y": str(-MARGIN), "width": str(width), "height": str(height)}
    root.attrib.update(
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-MARGIN} {-MARGIN} {width} {height}",
        width=str(width),
        height=str(height),
    )
    sheet = ET.Element("style")
    sheet.text = in_light(_PAPER % _FONTS + marks())
    root[:0] = [sheet, ET.Element("rect", {**place, "class": "paper"})]
    return ET.tostring(root, encoding="unicode")
