"""The training script trains: one step on a CPU, in the environment that has torch.

covers: quantize/reference_model/in_quantize/scores.py,
quantize/reference_model/in_quantize/stream.py, quantize/reference_model/in_quantize/train.py
"""

import json
import subprocess
from pathlib import Path

import pytest

from quantize.jobs.environment import environment_python
from quantize.root import ROOT
from tests.quantize.reference_model.test_weights import SHAPES, read_header

PROGRAM = """
import sys
from pathlib import Path
from quantize.reference_model.in_quantize.train import Training, rate_factor, train

if __name__ == "__main__":
    training = Training(out=Path(sys.argv[1]), steps=1, rows=1, workers=1)
    full = Training(out=Path())
    assert rate_factor(0, full) < rate_factor(200, full) == 1.0 > rate_factor(full.steps - 1, full)
    train(training)
"""


@pytest.mark.engine
def test_one_step_makes_a_checkpoint_of_the_bundled_shape(tmp_path: Path) -> None:
    python = environment_python("quantize")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run(
        [python, program, tmp_path / "out"],
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    header = read_header(tmp_path / "out" / "model.safetensors")
    assert {name: entry["shape"] for name, entry in header.items()} == SHAPES
    (row,) = map(json.loads, (tmp_path / "out" / "training_log.jsonl").read_text().splitlines())
    # An untrained model spreads its guesses over the 4096 pieces: ln 4096 = 8.32 nats.
    assert 8.0 < row["loss"] < 9.0
