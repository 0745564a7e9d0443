"""Labels keep apart and off the points, and are left out where there is no room."""

import random
from itertools import combinations, pairwise

import pytest

from eval.drawing.labels import Anchor, Box, place, spread


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_each_other_nor_points(seed: int) -> None:
    rng = random.Random(seed)
    anchors = [
        Anchor(x=rng.uniform(60, 420), y=rng.uniform(40, 280), words=f"variant-{i}", short=f"#{i}")
        for i in range(20)
    ]
    frame = Box(40, 20, 446, 296)
    boxes = [label.box for label in place(anchors, frame) if label is not None]
    assert len(boxes) >= 15
    assert all(box.inside(frame) for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(
        box.overlaps(Box(a.x - 5, a.y - 5, a.x + 5, a.y + 5)) for box in boxes for a in anchors
    )


def test_a_label_without_room_is_left_out() -> None:
    crowd = [Anchor(x=50, y=50, words="a-long-name", short="#1") for _ in range(5)]
    assert None in place(crowd, Box(30, 40, 70, 60))


def test_spread_keeps_the_order_and_the_gap() -> None:
    placed = spread([10, 11, 12, 90], 13, 0, 100)
    assert placed == sorted(placed)
    assert all(later - sooner >= 12.9 for sooner, later in pairwise(placed))
    assert 0 <= placed[0] <= placed[-1] <= 100


def test_spread_shrinks_the_gap_in_a_short_column() -> None:
    placed = spread([5.0] * 11, 13, 0, 50)
    assert placed == pytest.approx([5.0 * i for i in range(11)])
