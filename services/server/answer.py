"""Sending a generation to the client: whole or as server-sent events, until it disconnects."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.http.errors import RequestError
from services.http.event_stream import error_event
from services.server.generation import Generation
from services.server.protocol import StreamOptions
from services.server.responses import Json, Shape, sse, usage
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
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the answer beside a watch for the disconnect; whichever ends first wins."""
        answer = asyncio.ensure_future(
            self._send_stream(scope, receive, send)
            if self._stream
            else self._send_whole(scope, receive, send)
        )
        watch = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({answer, watch}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
        finally:
            self._generation.cancel()
            answer.cancel()
            watch.cancel()

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            choices = await self._generation.finish()
        except RequestError as error:
            await error_response(error)(scope, receive, send)
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
        try:
            async for block in self._blocks(first):
                await send({"type": "http.response.body", "body": block, "more_body": True})
            last = _DONE
        except RequestError as error:
            last = error_event(error)
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _blocks(self, chunks: list[tuple[int, Chunk]]) -> AsyncIterator[bytes]:
        """Events as bytes; all that arrived together goes out in one write."""
        generated = [0] * len(self._generation.requests)
        opening = b"".join(map(sse, self._shape.opening()))
        while chunks:
            yield opening + b"".join(
                sse(self._event(index, chunk, generated)) for index, chunk in chunks
            )
            opening = b""
            chunks = await self._generation.next_chunks()
        if self._usage_options.include_usage:
            yield sse(self._shape.usage_event(usage(self._prompt_tokens(), sum(generated))))

    def _event(self, index: int, chunk: Chunk, generated: list[int]) -> Json:
        """One event; with ``continuous_usage_stats`` it counts its own choice so far."""
        generated[index] += len(chunk.tokens)
        event = self._shape.event(index, chunk)
        options = self._usage_options
        if options.include_usage and options.continuous_usage_stats:
            prompt = self._generation.requests[index].prompt
            event["usage"] = usage(len(prompt), generated[index])
        return event

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
