"""Training batches, generated and tokenized by a pool of processes while the model trains.

Batch `i` depends on the stream's name and `i` alone, so a training run can be repeated, and no
batch is ever seen twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import sentencepiece as spm
from numpy.typing import NDArray

from quantize.reference_model import corpus
from quantize.reference_model.world import build_world

BOS_ID, EOS_ID = 1, 2
Batch = NDArray[np.uint16]

_tokenizer: spm.SentencePieceProcessor | None = None


def pack(stream: str, rows: int, length: int, tokenizer: spm.SentencePieceProcessor) -> Batch:
    """`rows` x `length` token ids: whole documents one after the other, the last one of a row cut.

    Every row starts with a document, as every evaluation prompt does.
    """
    world = build_world()
    batch = np.empty((rows, length), dtype=np.uint16)
    documents = corpus.documents(world, stream)
    for row in range(rows):
        ids: list[int] = []
        while len(ids) < length:
            ids += [BOS_ID, *tokenizer.encode(next(documents)), EOS_ID]
        batch[row] = ids[:length]
    return batch


def _start(tokenizer_path: str) -> None:
    global _tokenizer
    _tokenizer = spm.SentencePieceProcessor(model_file=tokenizer_path)


def _make(job: tuple[str, int, int]) -> Batch:
    assert _tokenizer is not None
    return pack(*job, _tokenizer)


@contextmanager
def batches(
    tokenizer_path: Path, seed: int, steps: int, rows: int, length: int, workers: int
) -> Iterator[Iterator[Batch]]:
    """The batches of a training run, in order; the pool runs ahead of the reader."""
    jobs = [(f"training {seed}/{step}", rows, length) for step in range(steps)]
    with get_context("spawn").Pool(workers, _start, (str(tokenizer_path),)) as pool:
        yield pool.imap(_make, jobs)
