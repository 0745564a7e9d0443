"""Events of a stream, written from what they have in common or one by one."""

import json

import pytest

from services.server.responses import ChatShape, CompletionShape, EventLines, Shape, sse
from services.server.sampling import SamplingParameters
from services.server.sequence import Chunk, GenerationRequest
from services.server.token_text import TokenText
from tests.services.server.gated_backend import GatedBackend

TEXT = TokenText(GatedBackend(max_sequences=1))
REQUESTS = [
    GenerationRequest(prompt=[0], max_tokens=9, sampling=SamplingParameters(), stream=True)
] * 2
CHUNKS = [
    (0, Chunk("a", [0])),
    (1, Chunk('"\\\n', [1])),
    (0, Chunk("\0", [2])),
    (0, Chunk("ü\u2028😀\ud800", [0, 1])),
    (1, Chunk("", [], finish_reason="length")),
    (0, Chunk("z", [1], finish_reason="stop")),
]


def shapes() -> list[Shape]:
    return [
        CompletionShape('a "model" \0', TEXT, REQUESTS, None),
        CompletionShape("m", TEXT, REQUESTS, ["what is echoed", "and"]),
        ChatShape("m", TEXT, REQUESTS),
    ]


@pytest.mark.parametrize("kind", range(3))
def test_a_line_is_the_shapes_own_event(kind: int) -> None:
    lines, other = EventLines(shapes()[kind], REQUESTS), shapes()[kind]
    for index, chunk in CHUNKS:
        found, right = (
            json.loads(line.removeprefix(b"data: "))
            for line in (lines.line(index, chunk), sse(other.event(index, chunk)))
        )
        for varying in ("id", "created"):
            del found[varying], right[varying]
        assert found == right
    assert lines.line(0, CHUNKS[0][1]).endswith(b"}\n\n")
