"""Tokenize texts with a GGUF file's tokenizer; in the ``llamacpp`` environment.

``python -m quantize.by_llamacpp.in_llamacpp.gguf_tokenize MODEL TEXTS OUTPUT``: TEXTS is what
``quantize.by_llamacpp.in_quantize.hf_tokenize`` wrote, OUTPUT a JSON list of token-id lists.
"""

import json
import sys
from pathlib import Path
from typing import Any

import llama_cpp


def main() -> None:
    """Write OUTPUT; only the vocabulary is loaded."""
    model_path, texts, output = sys.argv[1:]
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(model_path.encode(), parameters)
    if not model:
        print(f"llama.cpp cannot load {model_path}", file=sys.stderr)
        sys.exit(2)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    ids = [
        token_ids(vocabulary, item["text"], item["special"])
        for item in json.loads(Path(texts).read_text())
    ]
    Path(output).write_text(json.dumps(ids))


def token_ids(vocabulary: Any, text: str, add_special: bool) -> list[int]:
    """Token ids of one text; special tokens written in it are recognised."""
    raw = text.encode()
    room = len(raw) + 8
    buffer = (llama_cpp.llama_token * room)()
    count = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), buffer, room, add_special, True)
    assert count >= 0, "a token spans at least one byte"
    return list(buffer[:count])


if __name__ == "__main__":
    main()
