"""One tensor as it lies in a weight file, whatever the file's format."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """``kind`` is the format's own name for the storage type (``BF16``, ``I32``, ``Q4_K``).

    ``shape`` counts elements (for a packed type: of what is stored in safetensors, of what the
    blocks decode to in GGUF), outermost dimension first. ``offset`` is in bytes from the start
    of the file.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many elements the shape holds (a scalar holds one)."""
        return math.prod(self.shape)


class WeightFileError(ValueError):
    """A weight file is truncated or not what its header says; the message names the file."""
