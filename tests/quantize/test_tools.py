"""The recipes that need a tool of another environment, on a two-layer model."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.manifest import ArtifactError
from quantize.artifact_check import check_artifact
from quantize.by_llamacpp.gguf_export import CHAT_TEMPLATE_KEY, compare_tokens
from quantize.by_llamacpp.llamacpp_jobs import ReadText
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.tool import run_tool
from quantize.method import RecipeError
from quantize.root import ROOT
from tests.quantize.made import arguments, make, run
from tests.quantize.tiny_model import CHAT_TEMPLATE


@pytest.mark.engine
def test_the_fast_clip_search_finds_the_tools_own_bounds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    python = environment_python("quantize")
    run_tool(
        [python, "-m", "tests.quantize.by_gptqmodel.in_quantize.compare_clip_searches"],
        log=log,
        variables=tool_variables(2),
    )
    assert float(log.read_text().split()[-1]) > 0.99


@pytest.mark.engine
def test_gguf_files_hold_their_types_and_the_chat_template(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    recipes = ["gguf-bf16", "gguf-q8_0", "gguf-q4_k_m", "gguf-q2_k"]
    artifacts, _ = make(tiny, tmp_path, calibration_text, *recipes)
    manifests = [check_artifact(artifact) for artifact in artifacts]
    bits = [manifest.bits_per_weight for manifest in manifests]
    assert bits[:2] == [16, 8.5]
    assert bits == sorted(bits, reverse=True)
    assert {manifest.parameter_count for manifest in manifests} == {1_443_072}
    for artifact in artifacts:
        held = read_gguf(artifact / "model.gguf")
        assert held.metadata[CHAT_TEMPLATE_KEY] == CHAT_TEMPLATE


@pytest.mark.engine
def test_a_short_calibration_text_is_refused_with_what_would_fit(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    command = arguments(tiny, tmp_path, calibration_text, "gptq-int4-g128")
    done = run([*command, "--samples", "1000"])
    assert done.returncode == 2
    assert "too short" in done.stderr
    assert "ask for at most" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*/*gptq*partial*"))


@pytest.mark.engine
def test_a_kill_in_the_middle_leaves_no_artifact_and_the_next_run_makes_it(
    tmp_path: Path, tiny: Path, calibration_text: Path
) -> None:
    command = arguments(tiny, tmp_path, calibration_text, "gguf-bf16")
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


def test_a_tokenizer_that_reads_otherwise_is_refused() -> None:
    source = [
        ReadText(text="same", special=True, ids=[1]),
        ReadText(text="other", special=True, ids=[2]),
    ]
    compare_tokens(source, [[1], [2]])
    with pytest.raises(RecipeError, match=r"1 of 2 texts.*'other'"):
        compare_tokens(source, [[1], [3]])
