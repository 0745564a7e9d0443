"""The order in which the server's process loads what is compiled.

covers: services/server/__main__.py
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from services.server.__main__ import KEY_VARIABLE, main
from tests.services.server.conftest import PYTHON


@pytest.mark.engine
def test_the_engines_library_is_loaded_before_others_bring_their_runtimes(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(str(PYTHON), "-X", "importtime", "-m", "services.server", "--backend", "llamacpp"),
            *("--model", str(tmp_path), "--served-name", "none"),
        ],
        env={**os.environ, KEY_VARIABLE: "key"},
        capture_output=True,
        text=True,
    )
    loaded = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line]
    at = loaded.index("llama_cpp.llama_cpp")
    assert not {"regex", "transformers", "uvicorn", "jinja2"} & set(loaded[:at])
    assert {"regex", "uvicorn", "jinja2"} <= set(loaded[at:])
    assert done.returncode == 1
    assert "expected one .gguf file, found none" in done.stderr


def test_without_a_key_nothing_is_served(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert main(["--backend", "llamacpp", "--model", "x", "--served-name", "x"]) == 2
    assert KEY_VARIABLE in capsys.readouterr().err


def test_a_library_that_cannot_be_loaded_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "key")
    before = signal.getsignal(signal.SIGTERM)
    try:
        # The control environment has no llama.cpp.
        assert main(["--backend", "llamacpp", "--model", "x", "--served-name", "x"]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == (
        "error: llamacpp cannot be loaded: No module named 'llama_cpp'\n"
    )
