"""Other load generators at one endpoint: how each is called, what its results say, what it cost.

All are given prompts of the same length by the same tokenizer, answers of the same forced length,
and the same number of streams. Each makes its prompts itself.
"""

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.closed_loop import ClosedLoop
from loadtest.other_tools.foreign_run import ForeignCell
from loadtest.other_tools.reading import read_foreign
from quantize.jobs.environment import python_of
from quantize.root import ROOT, VENVS
from tests.benches.clients.command_clients import BENCH_SERVE

CLIENTS = VENVS / "clients" / "bin"
TIMEOUT_S = 600
# Nothing is to be looked up or told anywhere but at the endpoint.
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """``root`` is the base without its ``/v1``; lengths are in tokens of ``tokenizer``.

    ``seed`` is another for every run: an engine would answer the prompts of an earlier one from its
    cache, and these tools make the same ones each time unless they are told.
    """

    root: str
    model: str
    tokenizer: Path
    prompt_tokens: int
    output_tokens: int
    streams: int
    requests: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PeerRun:
    """What a peer measured, and the processor seconds of all its processes."""

    cell: ForeignCell
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Peer:
    """``result`` is where its result lies in the folder that ``argv`` names."""

    argv: Callable[[Ask, Path], list[str]]
    result: str


def _vllm_bench(ask: Ask, folder: Path) -> list[str]:
    return [
        *(str(python_of("vllm")), "-m", BENCH_SERVE, "--backend", "openai"),
        *("--base-url", ask.root, "--endpoint", "/v1/completions"),
        *("--model", ask.model, "--tokenizer", str(ask.tokenizer)),
        *("--dataset-name", "random", "--random-input-len", str(ask.prompt_tokens)),
        *("--random-output-len", str(ask.output_tokens), "--ignore-eos"),
        *("--num-prompts", str(ask.requests), "--max-concurrency", str(ask.streams)),
        *("--seed", str(ask.seed)),
        *("--disable-tqdm", "--save-result", "--save-detailed", "--result-dir", str(folder)),
        *("--result-filename", "result.json"),
    ]


def _guidellm(ask: Ask, folder: Path) -> list[str]:
    backend = f"kind=openai_http,target={ask.root},model={ask.model}"
    data = f"prompt_tokens={ask.prompt_tokens},output_tokens={ask.output_tokens}"
    return [
        *(str(CLIENTS / "guidellm"), "run", "--disable-console-interactive"),
        *("--backend", f"{backend},request_format=/v1/completions"),
        *("--profile", f"kind=concurrent,streams={ask.streams}"),
        *("--constraint", f"kind=max_requests,count={ask.requests}"),
        *("--tokenizer", f"kind=huggingface_auto,model={ask.tokenizer}"),
        *("--data", f"kind=synthetic_text,{data}", "--seed", f"kind=static,value={ask.seed}"),
        *("--output", f"kind=json,path={folder / 'result.json'}"),
    ]


def _aiperf(ask: Ask, folder: Path) -> list[str]:
    """Counts the tokens that the server tells: of the answer's text another number may be made."""
    return [
        *(str(CLIENTS / "aiperf"), "profile", "--model", ask.model, "--url", ask.root),
        *("--endpoint-type", "completions", "--streaming", "--tokenizer", str(ask.tokenizer)),
        *("--request-count", str(ask.requests), "--concurrency", str(ask.streams)),
        *("--synthetic-input-tokens-mean", str(ask.prompt_tokens)),
        *("--synthetic-input-tokens-stddev", "0", "--output-tokens-mean", str(ask.output_tokens)),
        *("--output-tokens-stddev", "0", "--extra-inputs", "ignore_eos:true"),
        *("--use-server-token-count", "--random-seed", str(ask.seed)),
        *("--num-dataset-entries", str(ask.requests)),
        *("--ui-type", "none", "--output-artifact-dir", str(folder)),
    ]


PEERS: Mapping[str, Peer] = {
    "vllm-bench": Peer(argv=_vllm_bench, result="result.json"),
    "guidellm": Peer(argv=_guidellm, result="result.json"),
    "aiperf": Peer(argv=_aiperf, result="profile_export_aiperf.json"),
}


def run_peer(peer: Peer, ask: Ask) -> PeerRun:
    """Let a peer load the endpoint; blocks until it ends.

    Raises:
        RuntimeError: it failed; the message is the last that it said.
        ForeignFileError: its result cannot be read.
    """
    before = _children_cpu_s()
    with tempfile.TemporaryDirectory(prefix="assay-agreement-") as name:
        folder = Path(name)
        _run(peer.argv(ask, folder))
        (cell,) = read_foreign(folder / peer.result).cells
    if cell.point != ClosedLoop(ask.streams) or cell.errors:
        raise RuntimeError(f"it measured {cell.load} with {cell.errors} errors")
    return PeerRun(cell=cell, cpu_s=_children_cpu_s() - before)


def _run(words: list[str]) -> None:
    try:
        ended = subprocess.run(
            words,
            cwd=ROOT,
            env={**os.environ, **QUIET},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it did not end within {TIMEOUT_S} s") from error
    if ended.returncode:
        raise RuntimeError((ended.stdout.strip().splitlines() or ["it said nothing"])[-1])


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
