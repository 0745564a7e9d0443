"""The load of one block, in a process of its own: ``python -m tests.benches.serving.block_load``.

Reads one ``Block`` as JSON from standard input and answers with one ``Outcome``. Far lighter than
Locust: on a machine of two cores, what the client uses is taken from what it measures.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from loadtest.client_health import go_first
from services.http.stream_chunk import DONE
from tests.benches.harness.raw_client import ClientError, ask_all, post
from tests.benches.harness.received import Received

_LONGEST_REASON = 400


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Message):
    """Closed loop of ``concurrency`` users for ``duration_s`` after ``warmup_s`` that do not count.

    ``ttft_s`` and ``tpot_s`` are the engine's schedule, None where it keeps none.
    """

    port: int
    path: str
    key: str | None
    model: str
    concurrency: int
    warmup_s: float
    duration_s: float
    prompt_tokens: int
    output_tokens: int
    seed: int
    ttft_s: float | None = None
    tpot_s: float | None = None


class Outcome(_Message):
    """What was seen: per counted request its TTFT and TPOT, per token its lag behind schedule.

    ``tokens`` came within the ``seconds`` that count, whichever request they belong to.
    """

    ttft_s: list[float]
    tpot_s: list[float]
    lag_s: list[float]
    tokens: float
    seconds: float
    errors: list[str]


def _requests(block: Block, until_s: float) -> Iterator[bytes]:
    """Question after question, the same ones for the same seed, until the time is over."""
    draw = random.Random(block.seed)
    while time.perf_counter() < until_s:
        body = {
            "model": block.model,
            "prompt": [draw.randrange(300, 1500) for _ in range(block.prompt_tokens)],
            "max_tokens": block.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
        }
        yield post(block.path, block.key or "", body)


async def run_block(block: Block) -> Outcome:
    """Run one block to its end; requests that are open at its end finish."""
    began = time.perf_counter() + block.warmup_s
    end = began + block.duration_s
    answers: list[Received] = []
    errors: list[str] = []
    try:
        answers = await ask_all(block.port, _requests(block, end), block.concurrency)
    except ClientError as error:
        errors.append(str(error))
    errors += [fault for answer in answers if (fault := _fault(answer)) is not None]
    return outcome(block, [(a.started_s, _token_times(a)) for a in answers], (began, end), errors)


def _token_times(answer: Received) -> list[float]:
    """When each event came, without the end mark."""
    return answer.event_times[:-1] if answer.events[-1:] == [DONE] else answer.event_times


def _fault(answer: Received) -> str | None:
    """Why an answer is no whole stream; None: it is one."""
    if answer.status == 200 and answer.events[-1:] == [DONE]:
        return None
    return f"{answer.status}: {answer.content[-_LONGEST_REASON:]!r}"


def outcome(
    block: Block,
    requests: Sequence[tuple[float, list[float]]],
    window: tuple[float, float],
    errors: list[str],
) -> Outcome:
    """What the times of all requests say; a request counts where it was sent in the window.

    Events beyond the tokens asked for (usage) are none. An engine may tell several tokens in one
    event when it is busy, so an event counts for its share of them.
    """
    began, end = window
    tokens = block.output_tokens
    seen = [(sent, times[:tokens]) for sent, times in requests if times]
    counted = [(sent, times) for sent, times in seen if began <= sent < end]
    lags: list[float] = []
    if block.ttft_s is not None and block.tpot_s is not None:
        lags = [
            time_s - sent - block.ttft_s - place * block.tpot_s
            for sent, times in counted
            for place, time_s in enumerate(times)
        ]
    return Outcome(
        ttft_s=[times[0] - sent for sent, times in counted],
        tpot_s=[(times[-1] - times[0]) / (tokens - 1) for _, times in counted],
        lag_s=lags,
        tokens=sum(tokens * sum(began <= t < end for t in ts) / len(ts) for _, ts in seen),
        seconds=end - began,
        errors=errors[:3],
    )


def main() -> None:
    """One block in, one outcome out."""
    block = Block.model_validate_json(sys.stdin.read())
    go_first()
    print(asyncio.run(run_block(block)).model_dump_json())


if __name__ == "__main__":
    main()
