"""Asking one OpenAI server, for probes of what it can do."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from services.http.sse import SseParser
from services.http.stream_chunk import DONE, StreamChunk, read_chunk

PROBE_IDS = [300, 17, 301, 45, 302, 303, 88, 304]
PROBE_TEXT = "The capital of the country is"
# Tokens asked for where the model wants to end at once.
ENOUGH = 12
# Hot enough that even a model that is sure of itself gives other seeds another answer.
PROBE_TEMPERATURE = 2.0


class ProbeFailed(Exception):
    """The engine answered, but not as the capability demands; the message says how."""


class Prober:
    """Asks one OpenAI server: greedily, where a question does not say otherwise."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str],
        model: str,
        *,
        end_tokens: Sequence[int] = (),
        rounds_inputs: bool = False,
    ) -> None:
        """``rounds_inputs``: the artifact's format rounds what its layers multiply."""
        self._session = session
        self._base_url = base_url
        self._headers = headers
        self._model = model
        self._end_tokens = tuple(end_tokens)
        self._rounds_inputs = rounds_inputs

    async def _post(self, path: str, fields: Mapping[str, Any]) -> bytes:
        given = {"temperature": 0, **fields}
        body = {"model": self._model, **{k: v for k, v in given.items() if v is not None}}
        async with self._session.post(
            f"{self._base_url}/v1/{path}", json=body, headers=self._headers
        ) as response:
            content = await response.read()
            if response.status != 200:
                raise ProbeFailed(f"HTTP {response.status}: {content[:200].decode()}")
            return content

    async def _complete(self, **fields: Any) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(await self._post("completions", fields))
        return content


def expect(what: str, got: object, wanted: object) -> None:
    """Fail a probe unless ``got`` is ``wanted``."""
    if got != wanted:
        raise ProbeFailed(f"{what}: got {got!r}, expected {wanted!r}")


def whole_stream(content: bytes) -> list[StreamChunk]:
    """The chunks of a stream that has to be whole.

    Raises:
        ProbeFailed: it does not end with its mark, or holds an error.
        StreamError: an event is no chunk of an answer.
    """
    events = SseParser().feed(content)
    expect("the stream's last event", (events or [b""])[-1].strip(), DONE)
    chunks = [read_chunk(event) for event in events[:-1]]
    for chunk in chunks:
        expect("error in the stream", chunk.error, None)
    return chunks
