"""The load of one block, in a process of its own: ``python -m tests.benches.serving.block_load``.

Reads one ``Block`` as JSON from standard input and answers with one ``Outcome``. Far lighter than
Locust: on a machine of two cores, what the client uses is taken from what it measures.
"""

import asyncio
import json
import random
import sys
import time

import httptools
from pydantic import BaseModel, ConfigDict

from loadtest.client_health import go_first

_END = b"\n\n"
_DONE = b"data: [DONE]"


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


class _Answer:
    """One response as httptools tells it: the time of every event, and how it ended."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.complete = self.done = False
        self.body = b""
        self._rest = b""

    def on_body(self, chunk: bytes) -> None:
        now = time.perf_counter()
        self.body = (self.body + chunk)[-400:]
        whole, end, self._rest = (self._rest + chunk).rpartition(_END)
        events = (whole + end).count(_END)
        if _DONE in whole:
            self.done = True
            events -= 1
        self.times += [now] * events

    def on_message_complete(self) -> None:
        self.complete = True


class _User:
    def __init__(self, block: Block, number: int, until: float) -> None:
        self._block = block
        self._until = until
        self._random = random.Random(f"{block.seed}-{number}")
        self.requests: list[tuple[float, list[float]]] = []
        self.errors: list[str] = []

    def _request(self) -> bytes:
        block = self._block
        ids = [self._random.randrange(300, 1500) for _ in range(block.prompt_tokens)]
        body = {
            "model": block.model,
            "prompt": ids,
            "max_tokens": block.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
        }
        content = json.dumps(body).encode()
        key = f"authorization: Bearer {block.key}\r\n" if block.key else ""
        head = (
            f"POST {block.path} HTTP/1.1\r\nhost: bench\r\n{key}"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._block.port)
        try:
            while time.perf_counter() < self._until and not self.errors:
                await self._ask(reader, writer)
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        request = self._request()
        sent = time.perf_counter()
        writer.write(request)
        while not answer.complete:
            received = await reader.read(65536)
            if not received:
                self.errors.append(f"the connection was closed: {answer.body!r}")
                return
            parser.feed_data(received)
        if parser.get_status_code() != 200 or not answer.done:
            self.errors.append(f"{parser.get_status_code()}: {answer.body!r}")
        self.requests.append((sent, answer.times))


async def run_block(block: Block) -> Outcome:
    """Run one block to its end; requests that are open at its end finish."""
    began = time.perf_counter() + block.warmup_s
    end = began + block.duration_s
    users = [_User(block, number, end) for number in range(block.concurrency)]
    await asyncio.gather(*(user.run() for user in users))
    requests = [item for user in users for item in user.requests]
    return outcome(
        block, requests, (began, end), [error for user in users for error in user.errors]
    )


def outcome(
    block: Block,
    requests: list[tuple[float, list[float]]],
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
