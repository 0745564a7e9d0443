"""What clients write is read as what became of their requests.

covers: tests/benches/clients/plan.yaml
"""

import json
from pathlib import Path

import pytest

from tests.benches.clients.command_clients import COMMAND_CLIENTS, Target

# As each of them writes it, with all else left out.
RESULTS = {
    "vllm-bench": ("result.json", {"completed": 7, "failed": 1}),
    "vllm-bench-chat": ("result.json", {"completed": 7, "failed": 1}),
    "guidellm": (
        "result.json",
        {"benchmarks": [{"metrics": {"request_totals": {"successful": 7, "errored": 1}}}]},
    ),
    "aiperf": (
        "profile_export_aiperf.json",
        {"request_count": {"avg": 7.0}, "error_request_count": {"avg": 1.0}},
    ),
    "lm-eval": ("m/results_2026.json", {"n-samples": {"task": {"original": 9, "effective": 7}}}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_requests_are_counted_as_the_client_counts_them(name: str, tmp_path: Path) -> None:
    file, content = RESULTS[name]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps(content))
    failed = 0 if name == "lm-eval" else 1
    assert COMMAND_CLIENTS[name].read(tmp_path) == (7, failed)


@pytest.mark.parametrize("name", COMMAND_CLIENTS)
def test_results_that_are_not_there_are_no_success(name: str, tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        COMMAND_CLIENTS[name].read(tmp_path)


@pytest.mark.parametrize("name", COMMAND_CLIENTS)
def test_a_command_names_its_target(name: str, tmp_path: Path) -> None:
    target = Target(
        root="http://host/gguf", variant="gguf", tokenizer=Path("/tok"), results=tmp_path
    )
    words = " ".join(COMMAND_CLIENTS[name].argv(target))
    for word in ("http://host/gguf", "gguf", "/tok", str(tmp_path)):
        assert word in words
