"""Sending a generation to the client: whole or as server-sent events, until it disconnects."""

import asyncio
from collections.abc import Mapping
from functools import partial

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.http.errors import RequestError
from services.http.event_stream import error_event
from services.server.direct_stream import DirectStream
from services.server.engine_protocol import TRANSPORT
from services.server.generation import Generation
from services.server.protocol import StreamOptions
from services.server.responses import EventLines, Shape, sse, usage
from services.server.sequence import Chunk

_DONE = b"data: [DONE]\n\n"


class GenerationResponse(Response):
    """Answers with a running generation, and cancels it when the client goes away.

    Written to ASGI directly: Starlette's streaming response costs a task group and an iterator
    layer per event, which shows beside a model that decodes a token in under a millisecond.
    """

    def __init__(
        self,
        generation: Generation,
        shape: Shape,
        *,
        stream: bool,
        usage_options: StreamOptions,
        choices_per_prompt: int,
    ) -> None:
        self._generation = generation
        self._shape = shape
        self._stream = stream
        self._usage_options = usage_options
        self._choices_per_prompt = choices_per_prompt
        self._lines = EventLines(shape, generation.requests)
        self._generated = [0] * len(generation.requests)
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the answer beside a watch for the disconnect, which ends it."""
        watch = asyncio.ensure_future(_disconnected(receive))
        watch.add_done_callback(lambda _: self._generation.abandon())
        try:
            if self._stream:
                await self._send_stream(scope, receive, send)
            else:
                await self._send_whole(scope, receive, send)
        finally:
            self._generation.cancel()
            watch.cancel()

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            choices = await self._generation.finish()
        except RequestError as error:
            await error_response(error)(scope, receive, send)
            return
        if self._generation.abandoned:
            return
        generated = sum(len(choice.tokens) for choice in choices)
        body = self._shape.whole(choices, usage(self._prompt_tokens(), generated))
        await JSONResponse(body)(scope, receive, send)

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A stream begins with its first tokens: what goes wrong before is no stream's error."""
        try:
            first = await self._generation.next_chunks()
        except RequestError as error:
            await error_response(error)(scope, receive, send)
            return
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        direct = self._direct(scope)
        try:
            await self._send_blocks(first, send, direct)
            last = _DONE
        except RequestError as error:
            last = error_event(error)
        finally:
            if direct is not None:
                direct.close()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _direct(self, scope: Scope) -> DirectStream | None:
        """How the engine may write by itself: the one choice of an answer in HTTP's chunks."""
        transport = scope.get("extensions", {}).get(TRANSPORT)
        if transport is None or scope["http_version"] != "1.1" or len(self._generated) > 1:
            return None
        direct = DirectStream(transport, partial(self._line, 0))
        self._generation.sequences[0].write = direct
        return direct

    async def _send_blocks(
        self, chunks: list[tuple[int, Chunk]], send: Send, direct: DirectStream | None
    ) -> None:
        """All events but the last; all that arrived together goes out in one write."""
        opening = b"".join(map(sse, self._shape.opening()))
        while chunks:
            if direct is None:
                block = b"".join(self._line(index, chunk) for index, chunk in chunks)
            else:
                block = direct.lines([chunk for _, chunk in chunks])
            await send({"type": "http.response.body", "body": opening + block, "more_body": True})
            if direct is not None:
                direct.given(len(chunks))
            opening = b""
            chunks = await self._generation.next_chunks()
        if self._usage_options.include_usage:
            told = usage(self._prompt_tokens(), sum(self._generated))
            block = sse(self._shape.usage_event(told))
            await send({"type": "http.response.body", "body": block, "more_body": True})

    def _line(self, index: int, chunk: Chunk) -> bytes:
        """One event; with ``continuous_usage_stats`` it counts its own choice so far."""
        self._generated[index] += len(chunk.tokens)
        options = self._usage_options
        if not (options.include_usage and options.continuous_usage_stats):
            return self._lines.line(index, chunk)
        event = self._shape.event(index, chunk)
        prompt = self._generation.requests[index].prompt
        event["usage"] = usage(len(prompt), self._generated[index])
        return sse(event)

    def _prompt_tokens(self) -> int:
        requests = self._generation.requests[:: self._choices_per_prompt]
        return sum(len(request.prompt) for request in requests)


def error_response(error: RequestError, more: Mapping[str, str] | None = None) -> Response:
    """An error as a whole answer, with more headers than it has itself."""
    headers = {name.decode(): value.decode() for name, value in error.headers()}
    return Response(error.body(), error.status, {**headers, **(more or {})})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
