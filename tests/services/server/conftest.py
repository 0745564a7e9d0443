"""A running engine server on a tiny random model, and the same model in NumPy."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from quantize.jobs.environment import python_of
from quantize.root import ROOT
from tests.services.server.tiny_llama import TinyLlama, make_tiny_llama

PYTHON = python_of("llamacpp")
KEY = "test-key"
MODEL = "tiny"
CONTEXT_LENGTH = 512


@dataclass(frozen=True)
class RunningServer:
    """A server process and a client that holds its key."""

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client

    def complete(self, **body: object) -> dict[str, object]:
        """POST /v1/completions, which must succeed."""
        answer = self.client.post("/v1/completions", json={"model": MODEL, **body})
        assert answer.status_code == 200, answer.text
        result: dict[str, object] = answer.json()
        return result


@contextmanager
def serve(gguf: Path, *extra: str) -> Iterator[RunningServer]:
    """Start a server, wait for its ready line, and stop it by SIGTERM."""
    command = [
        *(str(PYTHON), "-m", "services.server", "--backend", "llamacpp", "--model", str(gguf)),
        *("--served-name", MODEL, "--context-length", str(CONTEXT_LENGTH), "--threads", "1"),
        *extra,
    ]
    environment = {**os.environ, "ASSAY_ENGINE_KEY": KEY}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = re.match(r"ready: (http://\S+)", process.stdout.readline())
        assert ready, "the server did not start"
        headers = {"authorization": f"Bearer {KEY}"}
        try:
            with httpx.Client(base_url=ready[1], headers=headers, timeout=60) as client:
                yield RunningServer(process, ready[1], client)
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="session")
def tiny() -> TinyLlama:
    """The oracle."""
    return make_tiny_llama()


@pytest.fixture(scope="session")
def tiny_gguf(tiny: TinyLlama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oracle's weights as a GGUF file."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny.write_gguf(path)
    return path


@pytest.fixture(scope="session")
def server(tiny_gguf: Path) -> Iterator[RunningServer]:
    """A server with 16 sequences, whose float32 cache leaves nothing to differ from NumPy."""
    with serve(tiny_gguf, "--max-sequences", "16", "--kv-cache-dtype", "f32") as running:
        yield running


@pytest.fixture(scope="session")
def start_server(tiny_gguf: Path) -> Callable[..., object]:
    """Start another server on the tiny model with extra options."""
    return lambda *extra: serve(tiny_gguf, *extra)
