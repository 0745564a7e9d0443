"""PNG pictures of our own drawings; in the ``quantize`` environment, which has Pillow.

``python -m eval.drawing.raster FOLDER OUTPUT``: every ``*.svg`` in FOLDER becomes a ``*.png``
in OUTPUT. Knows exactly the elements that ``eval.drawing.svg`` writes, in the light mode, so
that a picture looks the same on every machine and needs no browser.
"""

import math
import re
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont

from eval.drawing.light_styles import palette, style_of

# Pixels per unit of the drawing, and how much finer it is drawn before it is scaled down.
_SCALE, _FINER = 2, 2
_MARGIN = 12.0
_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf")
# What the font that Pillow brings along lacks.
_PLAIN = str.maketrans({"−": "-", "→": ">", "↑": "^", "•": "*", "–": "-", "×": "x", "…": "."})

Point = tuple[float, float]
Colour = tuple[int, int, int, int]


def main() -> None:
    """Write one PNG per SVG."""
    folder, output = map(Path, sys.argv[1:])
    for path in sorted(folder.glob("*.svg")):
        picture(path.read_text(encoding="utf-8")).save(output / f"{path.stem}.png", optimize=True)


def picture(svg: str) -> Image.Image:
    """The drawing on white paper, two pixels per unit."""
    root = ET.fromstring(svg)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    canvas = _Canvas(width + 2 * _MARGIN, height + 2 * _MARGIN)
    _draw(root, canvas)
    return canvas.finished()


class _Canvas:
    """Shapes are drawn finer and scaled down; texts come after, at their final size."""

    def __init__(self, width: float, height: float) -> None:
        self.factor = _SCALE * _FINER
        size = (round(width * self.factor), round(height * self.factor))
        self.image = Image.new("RGBA", size, ImageColor.getrgb(palette()["--paper"]))
        self.texts: list[tuple[Point, str, str, float, Colour, bool]] = []

    def at(self, x: float, y: float) -> Point:
        return (x + _MARGIN) * self.factor, (y + _MARGIN) * self.factor

    def shape(self, points: list[Point], style: dict[str, str], *, closed: bool) -> None:
        """Fill and outline a polygon, or draw an open line; points in units of the drawing."""
        fill = _colour(style, "fill", "#000" if closed else "none")
        stroke = _colour(style, "stroke", "none")
        width = max(1, round(float(style.get("stroke-width", "1")) * self.factor))
        corners = [self.at(*point) for point in points]
        # Only the part of the canvas that the shape covers is blended.
        left = math.floor(min(x for x, _ in corners)) - width
        top = math.floor(min(y for _, y in corners)) - width
        right = math.ceil(max(x for x, _ in corners)) + width
        bottom = math.ceil(max(y for _, y in corners)) + width
        layer = Image.new("RGBA", (right - left, bottom - top))
        pen = ImageDraw.Draw(layer)
        corners = [(x - left, y - top) for x, y in corners]
        if fill is not None and len(corners) > 2:
            pen.polygon(corners, fill=fill)
        if stroke is not None:
            path = [*corners, corners[0]] if closed else corners
            for piece in _dashed(path, style.get("stroke-dasharray", ""), self.factor):
                pen.line(piece, fill=stroke, width=width, joint="curve")
        self._blend(layer, left, top)

    def _blend(self, layer: Image.Image, left: int, top: int) -> None:
        inside = (max(0, -left), max(0, -top))
        self.image.alpha_composite(layer, (max(0, left), max(0, top)), inside)

    def finished(self) -> Image.Image:
        size = (self.image.width // _FINER, self.image.height // _FINER)
        image = self.image.resize(size, Image.Resampling.LANCZOS).convert("RGB")
        pen = ImageDraw.Draw(image)
        for (x, y), words, anchor, points, colour, halo in self.texts:
            font, complete = _font(round(points * _SCALE))
            pen.text(
                (x / _FINER, y / _FINER),
                words if complete else words.translate(_PLAIN),
                fill=colour,
                font=font,
                anchor={"start": "ls", "middle": "ms", "end": "rs"}[anchor],
                stroke_width=_SCALE if halo else 0,
                stroke_fill=palette()["--paper"],
            )
        return image


def _draw(element: ET.Element, canvas: _Canvas) -> None:
    name, attributes = element.tag, element.attrib
    style = style_of(name, frozenset(attributes.get("class", "").split()))
    number = {key: float(value) for key, value in attributes.items() if _is_number(value)}
    match name:
        case "svg" | "g":
            for child in element:
                _draw(child, canvas)
        case "line":
            ends = [(number["x1"], number["y1"]), (number["x2"], number["y2"])]
            canvas.shape(ends, style, closed=False)
        case "rect":
            left, top = number["x"], number["y"]
            right, bottom = left + number["width"], top + number["height"]
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            canvas.shape(corners, style, closed=True)
        case "circle":
            canvas.shape(_circle(number["cx"], number["cy"], number["r"]), style, closed=True)
        case "polygon":
            canvas.shape(_points(attributes["points"]), style, closed=True)
        case "path":
            for piece in _path(attributes["d"]):
                canvas.shape(piece, style, closed=False)
        case "text":
            size = float(style.get("font-size", "11.5px").removesuffix("px"))
            colour = _colour(style, "fill", "#000")
            words = "".join(element.itertext())
            place = canvas.at(number["x"], number["y"])
            anchor = attributes.get("text-anchor", "start")
            halo = "paint-order" in style
            canvas.texts.append((place, words, anchor, size, colour or (0, 0, 0, 255), halo))
        case "title":
            pass
        case _:
            raise ValueError(f"no picture can be made of the element <{name}>")


def _is_number(value: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _points(words: str) -> list[Point]:
    numbers = [float(part) for part in re.findall(r"-?\d+(?:\.\d+)?", words)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _circle(x: float, y: float, radius: float) -> list[Point]:
    turn = complex(0.9807852804032304, 0.19509032201612825)  # a 32nd of a full turn
    spoke = complex(radius, 0)
    corners = []
    for _ in range(32):
        corners.append((x + spoke.real, y + spoke.imag))
        spoke *= turn
    return corners


def _path(words: str) -> list[list[Point]]:
    """The lines of a path of absolute M, L and V commands."""
    pieces: list[list[Point]] = []
    for command, rest in re.findall(r"([MLV])([^MLV]*)", words):
        if command == "V":
            pieces[-1].append((pieces[-1][-1][0], float(rest)))
        elif command == "M":
            pieces.append(_points(rest))
        else:
            pieces[-1] += _points(rest)
    return pieces


def _colour(style: dict[str, str], key: str, otherwise: str) -> Colour | None:
    value = style.get(key, otherwise)
    if value == "none":
        return None
    red, green, blue, *alpha = ImageColor.getrgb(value)
    share = float(style.get("opacity", "1")) * float(style.get(f"{key}-opacity", "1"))
    return red, green, blue, round((alpha[0] if alpha else 255) * share)


def _dashed(path: list[Point], pattern: str, factor: float) -> list[list[Point]]:
    """Cut a line into its dashes; an empty pattern leaves it whole."""
    if not pattern:
        return [path]
    dash, gap = (max(float(part), 1.5) * factor for part in pattern.split())
    pieces = []
    for (x1, y1), (x2, y2) in pairwise(path):
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        start = 0.0
        while start < length:
            ends = [share / length for share in (start, min(start + dash, length))]
            pieces.append([(x1 + (x2 - x1) * s, y1 + (y2 - y1) * s) for s in ends])
            start += dash + gap
    return pieces


def _font(size: int) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """A font of the machine that has all our characters, else the one that Pillow has in itself."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size), True
        except OSError:
            continue
    return ImageFont.load_default(size), False


if __name__ == "__main__":
    main()
