"""Where labels go, so that none covers another: beside points in a plane, and along a column."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.svg import FONT_SIZE, line, text_width

_HEIGHT = FONT_SIZE * 1.15
_DISTANCES = (9.0, 16.0, 26.0, 38.0, 52.0, 70.0)
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, -1), (0, 1))
_LEADER_FROM = 20.0
_ROUNDS = 4


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: "Box") -> bool:
        """Whether this one lies wholly within ``other``."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A point that wants a label; ``short`` is used where ``words`` finds no room."""

    x: float
    y: float
    words: str
    short: str
    radius: float = 7.0


@dataclass(frozen=True, kw_only=True)
class Label:
    """A placed label: left end and baseline; ``leader`` asks for a line to the point."""

    words: str
    x: float
    y: float
    box: Box
    leader: bool


def place(
    anchors: Sequence[Anchor], frame: Box, *, hard: Sequence[Box] = (), soft: Sequence[Box] = ()
) -> list[Label | None]:
    """A label per anchor that covers no other label, no point and nothing in ``hard``.

    ``soft`` boxes (error bars) are avoided where that is possible. None: there was no room, not
    even for the short form. The most crowded anchors choose first; then each may choose again,
    because those that chose early did not know what they stood in the way of.
    """
    points = [Box(a.x - a.radius, a.y - a.radius, a.x + a.radius, a.y + a.radius) for a in anchors]
    labels: list[Label | None] = [None] * len(anchors)
    order = sorted(range(len(anchors)), key=lambda i: -_crowd(anchors, i))
    for _ in range(_ROUNDS):
        for index in order:
            others = [b.box for place, b in enumerate(labels) if b is not None and place != index]
            blocked = [*points, *hard, *others]
            label = _best(anchors[index], anchors[index].words, frame, blocked, soft)
            if label is None:
                label = _best(anchors[index], anchors[index].short, frame, blocked, soft)
            labels[index] = label
    return labels


def _crowd(anchors: Sequence[Anchor], index: int) -> float:
    here = anchors[index]
    return sum(
        1 / (1 + abs(other.x - here.x) + abs(other.y - here.y))
        for place, other in enumerate(anchors)
        if place != index
    )


def _best(
    anchor: Anchor, words: str, frame: Box, blocked: Sequence[Box], soft: Sequence[Box]
) -> Label | None:
    best, best_cost = None, float("inf")
    for distance in _DISTANCES:
        for preference, (dx, dy) in enumerate(_DIRECTIONS):
            label = _candidate(anchor, words, dx, dy, distance)
            if not label.box.inside(frame) or any(label.box.overlaps(box) for box in blocked):
                continue
            crossings = sum(label.box.overlaps(box) for box in soft)
            cost = distance + preference + 14 * crossings
            if cost < best_cost:
                best, best_cost = label, cost
    return best


def _candidate(anchor: Anchor, words: str, dx: int, dy: int, distance: float) -> Label:
    width = text_width(words)
    reach = distance * (0.75 if dx and dy else 1.0)
    middle_x = anchor.x + dx * (reach + width / 2)
    middle_y = anchor.y + dy * (reach + (_HEIGHT / 2 if not dx else 2))
    box = Box(
        middle_x - width / 2,
        middle_y - _HEIGHT / 2,
        middle_x + width / 2,
        middle_y + _HEIGHT / 2,
    )
    baseline = middle_y + FONT_SIZE * 0.35
    return Label(words=words, x=box.left, y=baseline, box=box, leader=distance > _LEADER_FROM)


def leader(anchor: Anchor, box: Box) -> Markup:
    """A line from the edge of the point's symbol to the nearest edge of its label."""
    to_x = min(max(anchor.x, box.left), box.right)
    to_y = min(max(anchor.y, box.top), box.bottom)
    length = math.hypot(to_x - anchor.x, to_y - anchor.y) or 1.0
    from_x = anchor.x + (to_x - anchor.x) * anchor.radius / length
    from_y = anchor.y + (to_y - anchor.y) * anchor.radius / length
    return line(from_x, from_y, to_x, to_y, "leader")


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near ``wanted``, in the same order, at least ``gap`` apart within low..high.

    Where the column is too short for all, the gap shrinks evenly.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [min(max(wanted[i], low), high) for i in order]
    for _ in range(200):
        moved = 0.0
        for i in range(len(placed) - 1):
            lack = gap - (placed[i + 1] - placed[i])
            if lack > 1e-6:
                placed[i] -= lack / 2
                placed[i + 1] += lack / 2
                moved = max(moved, lack)
        placed = [
            min(max(value, low + i * gap), high - (len(placed) - 1 - i) * gap)
            for i, value in enumerate(placed)
        ]
        if moved < 0.05:
            break
    result = [0.0] * len(wanted)
    for position, index in zip(placed, order, strict=True):
        result[index] = position
    return result
