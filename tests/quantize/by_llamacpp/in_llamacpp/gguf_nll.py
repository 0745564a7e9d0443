"""Mean negative log-likelihood of texts under GGUF files; in the ``llamacpp`` environment.

``python -m tests.quantize.by_llamacpp.in_llamacpp.gguf_nll TEXTS MODEL...``: TEXTS is a JSONL file
with a ``text`` key. Prints a JSON list with nats per token, one figure per model, computed by the
server's own backend.
"""

import json
import sys
from pathlib import Path

import numpy as np

from quantize.calibration.calibration_set import read_texts
from services.server.backend import Batch
from services.server.in_llamacpp.llamacpp_backend import LlamaCppBackend

_CONTEXT = 512


def main() -> None:
    """Print the list."""
    texts, *models = sys.argv[1:]
    print(json.dumps([nats_per_token(Path(model), read_texts(Path(texts))) for model in models]))


def nats_per_token(model: Path, texts: list[str]) -> float:
    """Over all texts, each cut to the context and read from its beginning."""
    backend = LlamaCppBackend(model, context_length=_CONTEXT, max_sequences=1, threads=1)
    total, count = 0.0, 0
    for text in texts:
        tokens = backend.tokenize(text, add_special=True, parse_special=False)[:_CONTEXT]
        batch = Batch()
        for position, token in enumerate(tokens):
            batch.add(0, position, token, True)
        logits = backend.decode(batch)[:-1].astype(np.float64)
        backend.trim(0, 0)
        top = logits.max(axis=1, keepdims=True)
        totals = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        total += float((totals - logits[np.arange(len(tokens) - 1), tokens[1:]]).sum())
        count += len(tokens) - 1
    backend.close()
    return total / count


if __name__ == "__main__":
    main()
