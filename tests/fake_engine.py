"""A stand-in for an engine, and for the endpoints of variants: it never produces a result.

For tests of the machinery around engines alone. As an engine it is a process of its own
(``python -m tests.fake_engine [options] -- PORT NAME KEY``) or a server in the test's loop, and
slow enough to be interrupted. As a service it answers for any variant, below its name: streams on
an exact schedule, log-probabilities by a formula so that scores can be checked, faults on demand.
"""

import argparse
import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loadtest.null_server import (
    NullServer,
    answer,
    begin_stream,
    end_stream,
    headers_of,
    route_of,
    write_chunk,
)

Writer = asyncio.StreamWriter
# An engine's stream, with an event that is cut in the middle.
CHUNKS = (b'data: {"n": 0}\n\nda', b'ta: {"n": 1}\n\n', b"data: [DONE]\n\n")
# As vLLM refuses what it finds out after it has sent its headers.
REFUSAL = b'data: {"error": {"message": "no", "type": "BadRequestError", "code": 400}}\n\n'
FAULTS = ("429", "500", "early", "no_done", "broken", "error_event")
# A first token as servers send it that have a place for an error in every event.
NO_ERROR = b'data: {"error":null,"choices":[{"index":0,"text":"a"}]}\n\n'
ANSWERS = ("every_end", "plain_sampling", "stop", "token_ids")
CAPABILITIES = ("echo_logprobs", *ANSWERS)
MODULUS = 997


def log_probability(previous: int, token: int) -> float:
    """Natural logarithm of the pretended probability of a token after the one before it."""
    return -0.01 - ((previous * 7919 + token * 104_729) % MODULUS) / 200


@dataclass(kw_only=True)
class Behaviour:
    """What one variant says of itself, and how it answers.

    ``full`` questions are first refused; ``faults`` name what befalls each third one in turn;
    ``echoes`` False: it claims log-probabilities of the prompt and sends none; ``restarts``: its
    engine is replaced at the first question, ``replaced``: its replica is, which counts none.
    ``stall``: when (s after the first question) it stands still, and for how long. ``gpus`` and
    ``kernels`` are what it says that it computes on.
    """

    capabilities: tuple[str, ...] = CAPABILITIES
    state: str = "ready"
    residency: str | None = None
    artifact_sha256: str = "a" * 64
    answer: str = "7"
    full: int = 0
    echoes: bool = True
    faults: tuple[str, ...] = ()
    restarts: bool = False
    replaced: bool = False
    stall: tuple[float, float] = (0.0, 0.0)
    first_asked_s: float | None = None
    gpus: tuple[dict[str, Any], ...] = ()
    kernels: dict[str, Any] | None = None

    async def stand_still(self) -> None:
        """Wait for the end of the stall, where it is its time."""
        now = time.monotonic()
        if self.first_asked_s is None:
            self.first_asked_s = now
        begin, length = self.stall
        if 0 <= now - self.first_asked_s - begin < length:
            await asyncio.sleep(self.first_asked_s + begin + length - now)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the fake is as an engine: its key, what its own routes tell, and whether it hangs."""

    name: str = "fake"
    key: str = ""
    weights: str = "[]"
    metrics: str = ""
    never_completes: bool = False


class FakeEngine(NullServer):
    """Engine and service in one; ``asked`` keeps what every variant was asked, ``left`` counts
    streams whose client went away.
    """

    def __init__(
        self, *, engine: Engine | None = None, variants: Mapping[str, Behaviour] | None = None
    ) -> None:
        super().__init__(ttft_s=0.01, tpot_s=0.002)
        self.engine = engine or Engine()
        self.variants = defaultdict(Behaviour, variants or {})
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.left = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every question that was taken, by variant."""
        return [body for asked in self.asked.values() for body in asked]

    def prompts(self, variant: str) -> int:
        """How many prompts a variant was sent."""
        return sum(len(body["prompt"]) for body in self.asked.get(variant, ()))

    async def respond(self, head: bytes, body: Any, writer: Writer) -> None:
        """Answer as the engine, or as the variant that the path begins with."""
        route = route_of(head)
        first, _, rest = route.removeprefix("/").partition("/")
        if rest and first != "v1":
            return await self._as_variant(first, rest, body, writer)
        return await self._as_engine(route, head, body, writer)

    async def _as_engine(self, route: str, head: bytes, body: Any, writer: Writer) -> None:
        open_routes: dict[str, object] = {
            "/health": b"",
            "/weights": self.engine.weights.encode(),
            "/cancelled": {"count": self.left},
        }
        if route in open_routes:
            return await answer(writer, 200, open_routes[route])
        if headers_of(head).get("authorization") != f"Bearer {self.engine.key}":
            return await answer(writer, 401, {"error": {"message": "unauthorized"}})
        match route:
            case "/metrics":
                return await answer(writer, 200, self.engine.metrics.encode(), kind="text/plain")
            case "/v1/models":
                return await answer(writer, 200, {"data": [{"id": self.engine.name}]})
            case "/v1/completions" | "/v1/chat/completions":
                return await self._complete(head, body, writer)
        return await answer(writer, 404, {"error": {"message": "no such route"}})

    async def _complete(self, head: bytes, body: dict[str, Any], writer: Writer) -> None:
        if self.engine.never_completes:
            await asyncio.Event().wait()
        if body.get("stream") and not body.get("echo_headers"):
            return await self._slow_stream(body, writer)
        told = headers_of(head) if body.get("echo_headers") else {"given": body}
        return await answer(writer, 200, {**told, "usage": body.get("usage")})

    async def _slow_stream(self, body: dict[str, Any], writer: Writer) -> None:
        """``CHUNKS``, or as the question says only the first, the second for minutes, an error."""
        begin_stream(writer)
        if body.get("refuses"):
            write_chunk(writer, REFUSAL)
            return await end_stream(writer)
        if body.get("breaks"):
            write_chunk(writer, CHUNKS[0])
            await writer.drain()
            await asyncio.sleep(0.05)
            return writer.transport.abort()
        try:
            for chunk in CHUNKS if not body.get("forever") else CHUNKS[1:2] * 10_000:
                write_chunk(writer, chunk)
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            self.left += 1
            raise
        return await end_stream(writer)

    async def _as_variant(self, name: str, route: str, body: Any, writer: Writer) -> None:
        how = self.variants[name]
        if route == "healthz":
            status = 200 if how.state == "ready" else 503
            return await answer(writer, status, self._health(name, how))
        if route == "metrics":
            return await answer(writer, 200, self._metrics(name).encode(), kind="text/plain")
        if how.full:
            how.full -= 1
            return await answer(writer, 429, {"error": {"message": "full"}})
        if body.get("stream") and body["max_tokens"] == 1:  # is it free?
            return await self.stream(body, writer, tokens=1)
        asked = self.asked.setdefault(name, [])
        asked.append(body)
        if not body.get("stream"):
            choices = [choice(i, p, body, how) for i, p in enumerate(body["prompt"])]
            # The order of a batch is not promised: the index says which prompt is meant.
            return await answer(writer, 200, {"choices": choices[::-1]})
        await how.stand_still()
        turn, rest = divmod(len(asked), 3)
        fault = how.faults[turn % len(how.faults)] if how.faults and rest == 0 else None
        try:
            return await self._timed_stream(body, writer, fault)
        except ConnectionError:
            self.left += 1
            raise

    async def _timed_stream(self, body: dict[str, Any], writer: Writer, fault: str | None) -> None:
        """The null server's stream, or what the fault makes of it."""
        tokens = body["max_tokens"]
        match fault:
            case "429":
                await answer(writer, 429, {"error": {"message": "the queue is full"}})
            case "500":
                await answer(writer, 500, {"error": {"message": "the engine is gone"}})
            case "early":
                await self.stream(body, writer, tokens=tokens - 1)
            case "no_done":
                await self.stream(body, writer, tokens=tokens, done=False)
            case "broken":
                begin_stream(writer)
                writer.write(b"5\r\ndata:\r\n")
                writer.close()
            case "hangs":
                begin_stream(writer)
                write_chunk(writer, NO_ERROR)
                while True:  # until its client goes
                    await asyncio.sleep(0.02)
                    write_chunk(writer, b": wait\n\n")
                    await writer.drain()
            case "error_event":
                told = b'data: {"error": {"message": "out of memory"}}\n\n'
                await answer(writer, 200, told, kind="text/event-stream")
            case _:
                await self.stream(body, writer, tokens=tokens)

    def _metrics(self, name: str) -> str:
        """Two of the series that every variant tells."""
        asked = len(self.asked.get(name, ()))
        return (
            f'assay_requests_running{{variant="{name}"}} 2\n'
            f'assay_prompt_tokens_total{{variant="{name}"}} {24 * asked}\n'
        )

    def _health(self, name: str, how: Behaviour) -> dict[str, Any]:
        return {
            "variant": name,
            "recipe": name,
            "engine": "fake",
            "state": how.state,
            "residency": how.residency,
            "reason": "it is a test",
            "artifact_sha256": how.artifact_sha256,
            "engine_version": "1",
            "memory_bytes": 1000 + len(self.asked.get(name, ())),
            "held_weight_bytes": 500,
            "capabilities": how.capabilities,
            "gpus": how.gpus,
            "kernels": how.kernels,
            "in_flight": 0,
            "restarts": int(how.restarts and name in self.asked),
            "start_s": 1.5 if how.replaced and name in self.asked else 1.25,
        }


def choice(index: int, prompt: Sequence[int], request: dict[str, Any], how: Behaviour) -> Any:
    """One choice of an answer, in the shape that vLLM gives it."""
    if not request.get("echo"):
        return {"index": index, "text": how.answer, "logprobs": None}
    ids = [*prompt, 5]
    values: list[float | None] = [None]
    values += [log_probability(a, b) for a, b in pairwise(ids)]
    kept = values if how.echoes else values[-1:]
    tops = [None if value is None else {"top": value} for value in kept]
    return {"index": index, "text": "", "logprobs": {"token_logprobs": kept, "top_logprobs": tops}}


@contextmanager
def running_engine(variants: Mapping[str, Behaviour] | None = None) -> Iterator[FakeEngine]:
    """A fake engine on a free port, in a thread of its own."""
    engine = FakeEngine(variants=variants)
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(engine.handle, "127.0.0.1", 0) as server:
            engine.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield engine
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _serve(options: argparse.Namespace) -> None:
    engine = Engine(
        name=options.name,
        key=options.key,
        weights=options.weights,
        metrics=options.metrics,
        never_completes=options.never_completes,
    )
    fake = FakeEngine(engine=engine)
    if not options.never_ready:
        await asyncio.start_server(fake.handle, "127.0.0.1", options.port)
    print("fake engine is up", flush=True)
    await asyncio.sleep(options.die_after)


def main() -> None:
    """Run until killed, or for ``--die-after`` seconds."""
    parser = argparse.ArgumentParser(prog="fake_engine")
    parser.add_argument("port", type=int)
    parser.add_argument("name")
    parser.add_argument("key")
    parser.add_argument("--die-after", type=float, default=300)
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--never-completes", action="store_true")
    parser.add_argument("--weights", default="[]")
    parser.add_argument("--metrics", default="")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
