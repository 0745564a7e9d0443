"""What is made with a tool of another environment: whole, or not at all.

covers: quantize/jobs/progress.py
"""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from quantize.artifact.manifest import ArtifactError
from quantize.artifact_check import check_artifact
from quantize.make import make_artifacts
from quantize.root import ROOT
from tests.quantize.made import command_of, make, order


@pytest.mark.engine
def test_a_short_calibration_text_is_refused_with_what_would_fit(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    greedy = order(tiny, tmp_path, calibration_text, "gptq-int4-g128", samples=1000)
    with pytest.raises(ValueError, match=r"too short.*ask for at most"):
        make_artifacts(greedy, lambda _line: None)
    assert not list(tmp_path.glob("*/*gptq*partial*"))


@pytest.mark.engine
def test_a_kill_in_the_middle_leaves_no_artifact_and_the_next_run_makes_it(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    command = command_of(tiny, tmp_path, calibration_text, "gguf-bf16")
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("*/.gguf-bf16.partial")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        killed.send_signal(signal.SIGKILL)
    (partial,) = tmp_path.glob("*/.gguf-bf16.partial")
    directory = partial.parent / "gguf-bf16"
    with pytest.raises(ArtifactError, match="no finished artifact"):
        check_artifact(directory)
    make(tiny, tmp_path, calibration_text, "gguf-bf16")
    check_artifact(directory)
    assert not partial.exists()
