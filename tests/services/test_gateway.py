"""The gateway routes by the request's model."""

import pytest

from services.errors import RequestError
from services.gateway import choose_variant

NAMES = ("bf16-vllm", "gguf-q4_k_m")


def test_the_model_names_the_variant() -> None:
    assert choose_variant(b'{"model": "gguf-q4_k_m", "prompt": "x"}', NAMES) == "gguf-q4_k_m"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"not json", 400, "no valid JSON"),
        (b"\xff\xfe", 400, "no valid JSON"),
        (b"[1]", 400, "no JSON object"),
        (b"[" * 100_000, 400, "no valid JSON"),
        (b'{"prompt": "x"}', 400, "names no model"),
        (b'{"model": 3}', 400, "names no model"),
        (b'{"model": "bf16-vlm"}', 404, "did you mean 'bf16-vllm'"),
        (b'{"model": "gpt-4"}', 404, "valid: bf16-vllm, gguf-q4_k_m"),
    ],
)
def test_a_request_that_names_no_variant_is_told_what_is_wrong(
    body: bytes, status: int, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        choose_variant(body, NAMES)
    assert caught.value.status == status
