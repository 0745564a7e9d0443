"""Geometry: labels keep apart, scales are right, one ruined variant flattens nothing."""

import random
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest

from eval.drawing.glyphs import Mark
from eval.drawing.labels import Anchor, Box, place, spread
from eval.drawing.svg import Scale, fit, tag
from eval.report.lines import Axis, Series, lines
from eval.report.marks import assign_marks
from eval.report.scatter import Point, clip_floor, pareto, scatter
from loadtest.intervals import Estimate
from tests.eval.report.builders import CPU_DEMO, comparison, estimate, thirty

MARK = Mark(key=0, hue=0, shape="circle", hollow=False)


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


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    assert pareto([(1, 5), (2, 4), (2, 6), (3, 1), (2.5, 0)]) == [2, 3]


def test_one_ruined_variant_does_not_set_the_scale() -> None:
    assert clip_floor([(-0.01, -0.02), (-0.25, -0.3)], 0.03) == pytest.approx(-0.048)
    assert clip_floor([(-0.01, -0.02), (-0.05, -0.07)], 0.03) == float("-inf")
    assert clip_floor([(-0.25, -0.3)], 0.0) == float("-inf")


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


def test_marks_differ_by_shape_within_an_engine() -> None:
    for sketches in (CPU_DEMO, thirty()):
        found = comparison(sketches).variants
        marks = assign_marks(found)
        looks = {(m.hue, m.shape, m.hollow) for m in marks.values()}
        assert len(looks) == len(found)


def test_the_same_engine_has_the_same_hue() -> None:
    found = comparison().variants
    marks = assign_marks(found)
    hues = {v.engine: {marks[w.variant].hue for w in found if w.engine == v.engine} for v in found}
    assert all(len(shades) == 1 for shades in hues.values())
    assert len({min(shades) for shades in hues.values()}) == 2


def test_a_single_variant_and_a_single_level_can_be_drawn() -> None:
    point = Point(
        name="only",
        rank=1,
        mark=MARK,
        speed=Estimate(value=100, low=None, high=None),
        gain=Estimate(value=0, low=None, high=None),
        baseline=True,
    )
    drawn = scatter([point], task="t", metric="accuracy", margin=0.0, noise_floor=None)
    assert "only" in drawn
    series = Series(name="only", mark=MARK, points=[(4, estimate(0.0, 0.0))], void=False)
    axis = Axis(words="s", write=str, logarithmic=True)
    ET.fromstring(lines([series], axis, "latency"))
