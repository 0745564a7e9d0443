"""One model, several servers: the same requests to each in turn, round after round.

All servers are up at the same time, and all but the one that is asked are stopped by a signal: an
idle server that polls would otherwise be charged to the others.
"""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import psutil

from quantize.jobs.environment import python_of
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.variants import Variant
from tests.benches.harness.raw_client import ClientError, closed_loop, post
from tests.benches.harness.received import AnswerError, count_tokens, tokens_per_second

_START_TIMEOUT_S = 300.0
_ANSWER_TIMEOUT_S = 300.0
_KV_CACHE_GIB = 4.0
_PATH = "/v1/completions"
# ``sampled`` is what llama.cpp does where nothing is said, and is said to all. Only the example
# server ignores ``top_k`` and ``min_p``.
Sampling = Literal["greedy", "sampled", "nucleus"]
_FIELDS: Mapping[Sampling, Mapping[str, object]] = {
    "greedy": {"temperature": 0},
    "sampled": {"temperature": 0.8, "top_p": 0.95, "top_k": 40, "min_p": 0.05, "seed": 1},
    "nucleus": {"temperature": 0.8, "top_p": 0.95, "top_k": 0, "min_p": 0, "seed": 1},
}

Server = TypeVar("Server")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One way of asking: ``requests`` of them, ``concurrency`` at a time."""

    concurrency: int
    requests: int
    stream: bool
    sampling: Sampling = "greedy"

    @property
    def name(self) -> str:
        """How the table names it."""
        kind = "streamed" if self.stream else "whole"
        return f"c={self.concurrency} {self.sampling} {kind}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is asked of one model: cells in every round, prompts of one length."""

    name: str
    artifact: Path
    prompt_tokens: int
    output_tokens: int
    rounds: int
    cells: tuple[Cell, ...]
    threads: int
    max_sequences: int = 16
    context_length: int = 512


class Prompts(Protocol):
    """Texts to ask with, and the tokenizer's count of any text."""

    def text(self, number: int) -> str:
        """Prompt ``number``, from 0."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One cell of one server in one round: tokens per second, or why there are none."""

    server: str
    cell: Cell
    tok_per_s: float | None
    fault: str | None = None


@contextmanager
def serving(variants: Sequence[Variant], workload: Workload) -> Iterator[list[RunningEngine]]:
    """All servers, ready and stopped by a signal until they are asked.

    Raises:
        EngineError: one does not start; with the end of its log.
    """
    with ExitStack() as stack:
        servers = []
        for variant in variants:
            server = stack.enter_context(running(variant, _settings(variant, workload)))
            # A stopped process would not hear that it shall end.
            stack.callback(_signal, server, signal.SIGCONT)
            _signal(server, signal.SIGSTOP)
            servers.append(server)
        yield servers


def measure(
    servers: Sequence[RunningEngine],
    workload: Workload,
    prompts: Prompts,
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    """Every cell of every server in every round; whoever is first in a round is last in the next.

    A prompt is asked once of each server, so that no cache of prefixes answers for the model.
    """
    for server in servers:
        with _awake(server):
            _ask(server, workload, prompts, workload.cells[-1], 0)
    for number, cell, first in numbered_cells(workload):
        for server in rotated(servers, number):
            with _awake(server):
                outcome = _ask(server, workload, prompts, cell, first)
            yield outcome
        if cell is workload.cells[-1]:
            say(f"{workload.name}: round {number + 1} of {workload.rounds}")


def rotated(servers: Sequence[Server], number: int) -> list[Server]:
    """The order of a round: over as many rounds as servers, each has every place in every cell."""
    start = number % len(servers)
    return [*servers[start:], *servers[:start]]


def numbered_cells(workload: Workload) -> Iterator[tuple[int, Cell, int]]:
    """Every round's cells, each with its first prompt's number; no prompt comes twice.

    The first prompts are the warm-up's, which asks as the last cell does.
    """
    first = workload.cells[-1].requests
    for number in range(workload.rounds):
        for cell in workload.cells:
            yield number, cell, first
            first += cell.requests


def _ask(
    server: RunningEngine, workload: Workload, prompts: Prompts, cell: Cell, first: int
) -> Outcome:
    """One cell of one server; a server that fails has no figure, and the reason beside it."""
    title = server.variant.engine.title
    requests = [
        post(_PATH, server.key, _body(server.model, prompts.text(first + index), workload, cell))
        for index in range(cell.requests)
    ]
    try:
        answers = closed_loop(
            server.port, requests, cell.concurrency, _ANSWER_TIMEOUT_S, patient=True
        )
        tokens = sum(
            count_tokens(
                answer,
                stream=cell.stream,
                asked=workload.output_tokens,
                count=prompts.count,
            )
            for answer in answers
        )
    except (ClientError, AnswerError) as error:
        return Outcome(server=title, cell=cell, tok_per_s=None, fault=str(error))
    return Outcome(server=title, cell=cell, tok_per_s=tokens_per_second(answers, tokens))


def _body(model: str, prompt: str, workload: Workload, cell: Cell) -> dict[str, object]:
    return {
        "model": model,
        "prompt": prompt,
        "max_tokens": workload.output_tokens,
        "stream": cell.stream,
        # Drawn answers end by luck, and what says less reads more prompts a token. llama-cpp-
        # python's servers do not know the field, and are slower by far more than that.
        "ignore_eos": True,
        **_FIELDS[cell.sampling],
    }


def _settings(variant: Variant, workload: Workload) -> EngineSettings:
    return EngineSettings(
        artifact=str(workload.artifact),
        python=str(python_of(variant.engine.environment)),
        context_length=workload.context_length,
        max_sequences=workload.max_sequences,
        threads=workload.threads,
        kv_cache_gib=_KV_CACHE_GIB,
        start_timeout_s=_START_TIMEOUT_S,
    )


@contextmanager
def _awake(server: RunningEngine) -> Iterator[None]:
    _signal(server, signal.SIGCONT)
    try:
        yield
    finally:
        _signal(server, signal.SIGSTOP)


def _signal(server: RunningEngine, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        server.process.send_signal(number)
