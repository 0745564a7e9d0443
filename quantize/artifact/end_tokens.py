"""Which token ids end an answer, as an artifact's own files say."""

import json
from pathlib import Path
from typing import Any

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.stored_tensor import WeightFileError

_GGUF_KEY = "tokenizer.ggml.eos_token_id"


def end_tokens(artifact: Path) -> tuple[int, ...]:
    """The end-of-sequence ids; empty where the files name none.

    A GGUF file carries one of its own, which counts where no configuration lies beside it.
    """
    return named_end_tokens(artifact) or _of_gguf(artifact)


def named_end_tokens(folder: Path) -> tuple[int, ...]:
    """The ids that a model's configuration calls ends.

    ``generation_config.json`` overrides ``config.json``, as transformers and vLLM read them. An
    artifact's names all that the source, its tokenizer included, calls so.
    """
    for name in ("generation_config.json", "config.json"):
        try:
            content: Any = json.loads((folder / name).read_text())
        except (OSError, ValueError):
            continue
        value = content.get("eos_token_id") if isinstance(content, dict) else None
        ids = value if isinstance(value, list) else [value]
        if ids and all(isinstance(token, int) for token in ids):
            return tuple(ids)
    return ()


def _of_gguf(artifact: Path) -> tuple[int, ...]:
    for path in sorted(artifact.glob("*.gguf")):
        try:
            found = read_gguf(path).metadata.get(_GGUF_KEY)
        except (OSError, WeightFileError):
            continue
        if isinstance(found, int):
            return (found,)
    return ()
