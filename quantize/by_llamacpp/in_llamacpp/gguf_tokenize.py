"""Tokenize texts with a GGUF file's tokenizer; in the ``llamacpp`` environment."""

from collections.abc import Callable
from typing import Any

import llama_cpp

from quantize.by_llamacpp.llamacpp_jobs import GGUF_TOKENIZE, GgufTextsRequest, GgufTokens
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve


def carry_out(request: GgufTextsRequest, _: Callable[[Progress], None]) -> GgufTokens:
    """The token ids of every text; only the vocabulary is loaded.

    Raises:
        BadRequest: llama.cpp cannot load the file.
    """
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(request.model).encode(), parameters)
    if not model:
        raise BadRequest(f"llama.cpp cannot load {request.model}")
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    ids = [token_ids(vocabulary, item.text, item.special) for item in request.items]
    llama_cpp.llama_model_free(model)
    return GgufTokens(ids=ids)


def token_ids(vocabulary: Any, text: str, add_special: bool) -> list[int]:
    """Token ids of one text; special tokens written in it are recognised."""
    raw = text.encode()
    room = len(raw) + 8
    buffer = (llama_cpp.llama_token * room)()
    count = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), buffer, room, add_special, True)
    assert count >= 0, "a token spans at least one byte"
    return list(buffer[:count])


if __name__ == "__main__":
    serve(GGUF_TOKENIZE, carry_out)
