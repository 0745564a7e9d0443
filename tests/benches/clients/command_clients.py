"""The clients that are commands: how each is called, and what its results say.

Every one asks a few short requests of one variant at one base, with the artifact's own tokenizer,
and writes its results into a folder of its own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.jobs.environment import python_of
from quantize.root import VENVS

REQUESTS = 8
ITEMS = 4
INPUT_TOKENS, OUTPUT_TOKENS = 32, 8
CLIENTS = VENVS / "clients" / "bin"
BENCH_SERVE = "tests.benches.clients.in_vllm.bench_serve"
Counts = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a client is pointed at: ``root`` is the base without its ``/v1``."""

    root: str
    variant: str
    tokenizer: Path
    results: Path


@dataclass(frozen=True, kw_only=True)
class CommandClient:
    """``distribution`` in ``environment`` is what its version is told of.

    ``read`` gives how many requests went well and how many failed; it raises what reading raises
    where the results are not there.
    """

    distribution: str
    environment: str
    argv: Callable[[Target], list[str]]
    read: Callable[[Path], Counts]


def _bench_serve(backend: str, endpoint: str) -> Callable[[Target], list[str]]:
    def argv(target: Target) -> list[str]:
        return [
            *(str(python_of("vllm")), "-m", BENCH_SERVE),
            *("--backend", backend, "--base-url", target.root, "--endpoint", endpoint),
            *("--model", target.variant, "--tokenizer", str(target.tokenizer)),
            *("--dataset-name", "random", "--random-input-len", str(INPUT_TOKENS)),
            *("--random-output-len", str(OUTPUT_TOKENS), "--num-prompts", str(REQUESTS)),
            *("--disable-tqdm", "--save-result", "--result-dir", str(target.results)),
            *("--result-filename", "result.json"),
        ]

    return argv


def _guidellm(target: Target) -> list[str]:
    return [
        *(str(CLIENTS / "guidellm"), "run", "--disable-console-interactive"),
        *("--backend", f"kind=openai_http,target={target.root}/v1,model={target.variant}"),
        *("--profile", "kind=synchronous"),
        *("--constraint", f"kind=max_requests,count={REQUESTS}"),
        *("--tokenizer", f"kind=huggingface_auto,model={target.tokenizer}"),
        "--data",
        f"kind=synthetic_text,prompt_tokens={INPUT_TOKENS},output_tokens={OUTPUT_TOKENS}",
        *("--output", f"kind=json,path={target.results / 'result.json'}"),
    ]


def _aiperf(target: Target) -> list[str]:
    return [
        *(str(CLIENTS / "aiperf"), "profile", "--model", target.variant, "--url", target.root),
        *("--endpoint-type", "chat", "--streaming", "--tokenizer", str(target.tokenizer)),
        *("--request-count", str(REQUESTS), "--concurrency", "2", "--ui-type", "none"),
        *("--synthetic-input-tokens-mean", str(INPUT_TOKENS)),
        *("--synthetic-input-tokens-stddev", "0", "--output-tokens-mean", str(OUTPUT_TOKENS)),
        *("--output-tokens-stddev", "0", "--output-artifact-dir", str(target.results)),
    ]


def _lm_eval(kind: str, path: str, task: str, *more: str) -> Callable[[Target], list[str]]:
    def argv(target: Target) -> list[str]:
        settings = {
            "model": target.variant,
            "base_url": f"{target.root}/v1/{path}",
            "num_concurrent": 2,
            "tokenizer": target.tokenizer,
            "max_length": 1024,
        }
        return [
            *(str(CLIENTS / "lm_eval"), "run", "--model", kind),
            *("--model_args", ",".join(f"{name}={value}" for name, value in settings.items())),
            *("--tasks", task, "--include_path", "eval/tasks", "--limit", str(ITEMS)),
            *("--output_path", str(target.results), *more),
        ]

    return argv


def _read_bench_serve(results: Path) -> Counts:
    found = _json(results / "result.json")
    return found["completed"], found["failed"]


def _read_guidellm(results: Path) -> Counts:
    totals = _json(results / "result.json")["benchmarks"][0]["metrics"]["request_totals"]
    return totals["successful"], totals["errored"]


def _read_aiperf(results: Path) -> Counts:
    (path,) = results.rglob("profile_export_aiperf.json")
    found = _json(path)
    failed = found.get("error_request_count") or {}
    return int(found["request_count"]["avg"]), int(failed.get("avg") or 0)


def _read_lm_eval(results: Path) -> Counts:
    """It ends with an error where one request failed for good; so what it scored was answered."""
    (path,) = results.rglob("results_*.json")
    samples = _json(path)["n-samples"]
    return sum(item["effective"] for item in samples.values()), 0


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


COMMAND_CLIENTS: Mapping[str, CommandClient] = {
    "vllm-bench": CommandClient(
        distribution="vllm",
        environment="vllm",
        argv=_bench_serve("openai", "/v1/completions"),
        read=_read_bench_serve,
    ),
    "vllm-bench-chat": CommandClient(
        distribution="vllm",
        environment="vllm",
        argv=_bench_serve("openai-chat", "/v1/chat/completions"),
        read=_read_bench_serve,
    ),
    "guidellm": CommandClient(
        distribution="guidellm", environment="clients", argv=_guidellm, read=_read_guidellm
    ),
    "aiperf": CommandClient(
        distribution="aiperf", environment="clients", argv=_aiperf, read=_read_aiperf
    ),
    "lm-eval": CommandClient(
        distribution="lm-eval",
        environment="clients",
        argv=_lm_eval("local-completions", "completions", "assay_choice"),
        read=_read_lm_eval,
    ),
    "lm-eval-chat": CommandClient(
        distribution="lm-eval",
        environment="clients",
        argv=_lm_eval(
            "local-chat-completions", "chat/completions", "assay_words", "--apply_chat_template"
        ),
        read=_read_lm_eval,
    ),
}
