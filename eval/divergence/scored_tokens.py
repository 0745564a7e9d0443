"""What one variant says of every token of the same texts, and how it goes on writing them.

Arrays over all tokens, and the file that keeps them: everything that is said of a divergence is
computed from these.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.jobs.whole_file import writing

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

# Of the likeliest tokens, as many as every engine gives.
TOP = 20
NO_TOKEN = -1


@dataclass(frozen=True, kw_only=True)
class ScoredTokens:
    """Texts scored by one variant, one row per token after a text's first.

    ``text`` ``[tokens]`` is the number of the text; ``chosen`` ``[tokens]`` the log-probability (in
    nats) of the token that stands there; ``top_ids`` and ``top`` ``[tokens, TOP + 1]`` are the ids
    and log-probabilities of the likeliest tokens and of that one, ``NO_TOKEN`` and -inf where there
    are fewer. ``answers`` ``[answers, length]`` are the ids of greedy answers, filled up with
    ``NO_TOKEN``; ``answer_text`` ``[answers]`` the texts whose beginning they answer.
    """

    text: Ints
    chosen: Floats
    top_ids: Ints
    top: Floats
    answers: Ints
    answer_text: Ints

    def save(self, path: Path) -> None:
        """Write to a ``.npz`` file, whole or not at all."""
        with writing(path) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {it.name: getattr(self, it.name) for it in fields(self)}
            np.savez_compressed(stream, **arrays)


def load_scored(path: Path) -> ScoredTokens:
    """Read what ``ScoredTokens.save`` wrote.

    Raises:
        OSError, ValueError, KeyError: there is no such file, or it is damaged.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return ScoredTokens(**{it.name: arrays[it.name] for it in fields(ScoredTokens)})
