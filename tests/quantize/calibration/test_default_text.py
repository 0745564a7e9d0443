import shutil
from pathlib import Path

from quantize.calibration.default_text import default_text
from quantize.source.source_model import REFERENCE, REFERENCE_WEIGHTS


def test_what_speaks_the_bundled_models_vocabulary_gets_its_text_and_all_else_the_general_one(
    tmp_path: Path,
) -> None:
    shutil.copy(REFERENCE_WEIGHTS / "tokenizer.json", tmp_path)
    assert default_text(REFERENCE) == default_text(str(tmp_path)) == "bundled"
    (tmp_path / "tokenizer.json").write_text("{}")
    assert default_text(str(tmp_path)) == "general"
    assert default_text("owner/name") == "general"
