"""A model is asked what fits it: the bundled one of its world, any other the general tasks.

covers: tests/benches/recipes/__main__.py
"""

from pathlib import Path

from quantize.source.source_model import REFERENCE
from tests.benches.recipes.__main__ import tasks_of


def test_only_the_bundled_model_is_asked_about_its_invented_world(tmp_path: Path) -> None:
    assert tasks_of(REFERENCE) == ("assay_text", "assay_choice")
    assert tasks_of(str(tmp_path)) == ("assay_general_text", "assay_general_choice")
