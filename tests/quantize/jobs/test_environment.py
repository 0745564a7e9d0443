"""An environment that is not made names its remedy.

covers: quantize/jobs/failure.py
"""

from pathlib import Path

import pytest

from quantize.jobs import environment
from quantize.jobs.environment import environment_python, python_of
from quantize.jobs.failure import ToolError


def test_a_missing_environment_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "VENVS", tmp_path)
    with pytest.raises(ToolError, match=r"'quantize' is missing.*make setup"):
        environment_python("quantize")
    assert python_of("quantize") == tmp_path / "quantize" / "bin" / "python"
