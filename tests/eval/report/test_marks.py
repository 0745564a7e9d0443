"""Engines by hue, recipes by shape: no two variants look alike."""

from eval.report.marks import assign_marks
from tests.eval.report.builders import CPU_DEMO, comparison, thirty


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
