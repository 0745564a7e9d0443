import json
from pathlib import Path

import pytest

from quantize.calibration.calibration_set import CalibrationError, CalibrationPlan
from quantize.calibration.enough_text import check_enough
from quantize.source.source_model import REFERENCE_WEIGHTS

WORDS = "The boat lies in the harbour. " * 20


def plan(path: Path, samples: int) -> CalibrationPlan:
    return CalibrationPlan(path=path, samples=samples, sequence_length=16)


def test_a_text_that_is_too_short_for_the_models_own_tokens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text(WORDS)
    check_enough(REFERENCE_WEIGHTS, plan(path, 2))
    with pytest.raises(CalibrationError, match=r"own\.txt is too short: \d+ tokens"):
        check_enough(REFERENCE_WEIGHTS, plan(path, 200))


def test_what_only_the_tool_can_count_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": WORDS}]}))
    check_enough(REFERENCE_WEIGHTS, plan(path, 200))
    (tmp_path / "own.txt").write_text(WORDS)
    check_enough(tmp_path, plan(tmp_path / "own.txt", 200))
