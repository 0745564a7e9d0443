"""Sending a generation to the client: whole or as server-sent events, until it disconnects."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.http.errors import RequestError
from services.http.event_stream import error_event
from services.server.generation import Generation
from services.server.responses import Shape, sse, usage

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
        include_usage: bool,
        choices_per_prompt: int,
    ) -> None:
        self._generation = generation
        self._shape = shape
        self._stream = stream
        self._include_usage = include_usage
        self._choices_per_prompt = choices_per_prompt
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the answer beside a watch for the disconnect; whichever ends first wins."""
        answer = asyncio.ensure_future(
            self._send_stream(send) if self._stream else self._send_whole(scope, receive, send)
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

    async def _send_stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for block in self._blocks():
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": _DONE, "more_body": False})

    async def _blocks(self) -> AsyncIterator[bytes]:
        """Events as bytes; all that arrived together goes out in one write."""
        generated = 0
        if opening := self._shape.opening():
            yield b"".join(map(sse, opening))
        try:
            while chunks := await self._generation.next_chunks():
                generated += sum(len(chunk.tokens) for _, chunk in chunks)
                yield b"".join(sse(self._shape.event(index, chunk)) for index, chunk in chunks)
        except RequestError as error:
            yield error_event(error)
            return
        if self._include_usage:
            yield sse(self._shape.usage_event(usage(self._prompt_tokens(), generated)))

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
