"""The benchmark's client tells what an exact schedule was, and what became of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadtest.null_server import NullServer
from services.engines.table import ENGINES
from tests.benches.serving.block_load import Block, Outcome, outcome, run_block
from tests.benches.serving.null_variant import NAME, NULL_VARIANT

BLOCK = Block(
    port=0,
    path="/v1/completions",
    key=None,
    model=NAME,
    concurrency=3,
    warmup_s=0,
    duration_s=0.5,
    prompt_tokens=8,
    output_tokens=4,
    seed=0,
    ttft_s=0,
    tpot_s=0.02,
)


@asynccontextmanager
async def null_engine() -> AsyncIterator[int]:
    server = await asyncio.start_server(NullServer(ttft_s=0).handle, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def test_a_block_tells_first_tokens_gaps_and_lags_of_every_request() -> None:
    async with null_engine() as port:
        found = await run_block(BLOCK.model_copy(update={"port": port}))
    assert found.errors == []
    assert len(found.ttft_s) == len(found.tpot_s) >= 3
    assert len(found.lag_s) == 4 * len(found.ttft_s)
    # A first token that comes late shortens the gaps, but none comes before its time.
    assert min(found.tpot_s) > 0
    assert min(found.lag_s) >= 0
    assert found.tokens > 0


async def test_an_answer_that_is_no_stream_is_an_error_with_its_words() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many\r\ncontent-length: 4\r\n\r\nfull")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await run_block(BLOCK.model_copy(update={"port": port, "concurrency": 1}))
    server.close()
    assert found.errors == ["429: b'full'"]
    assert found.ttft_s == []


def told(requests: list[tuple[float, list[float]]]) -> Outcome:
    return outcome(BLOCK, requests, (10.0, 20.0), [])


def test_only_what_was_sent_within_the_window_counts() -> None:
    early, late = (9.0, [9.5, 9.6, 10.5, 10.6]), (20.5, [20.6, 20.7, 20.8, 20.9])
    within = (15.0, [15.06, 15.08, 15.1, 15.12, 15.13])  # the fifth is no token, but usage
    found = told([early, within, late])
    assert found.ttft_s == [pytest.approx(0.06)]
    assert found.tpot_s == [pytest.approx(0.02)]
    assert found.lag_s == [pytest.approx(0.06)] * 4
    assert found.tokens == 6  # two of the early request came within the window


def test_an_event_of_several_tokens_counts_for_its_share() -> None:
    assert told([(15.0, [15.1, 15.2])]).tokens == 4


def test_the_null_engine_is_no_engine_of_the_product() -> None:
    assert NULL_VARIANT.engine.name not in ENGINES
