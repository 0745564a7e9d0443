"""Quality against speed: what nothing beats, and one ruined variant flattens nothing.

covers: eval/report/lines.py
"""

import xml.etree.ElementTree as ET

import pytest

from eval.drawing.glyphs import Mark
from eval.report.lines import Axis, Series, lines
from eval.report.scatter import Point, clip_floor, pareto, scatter
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from tests.eval.report.builders import estimate

MARK = Mark(key=0, hue=0, shape="circle", hollow=False)


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    assert pareto([(1, 5), (2, 4), (2, 6), (3, 1), (2.5, 0)]) == [2, 3]


def test_one_ruined_variant_does_not_set_the_scale() -> None:
    assert clip_floor([(-0.01, -0.02), (-0.25, -0.3)], 0.03) == pytest.approx(-0.048)
    assert clip_floor([(-0.01, -0.02), (-0.05, -0.07)], 0.03) == float("-inf")
    assert clip_floor([(-0.25, -0.3)], 0.0) == float("-inf")


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
    points = [(ClosedLoop(4), estimate(0.0, 0.0))]
    series = Series(name="only", mark=MARK, points=points, void=False)
    axis = Axis(words="s", write=str, logarithmic=True)
    ET.fromstring(lines([series], axis, "latency"))
