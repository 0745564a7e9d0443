"""What Assay must know of an engine to run it: data and small pure functions.

The spec of one engine stands in ``services/engines/<engine>_engine.py``; nothing outside that
file names the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.manifest import Manifest
from quantize.recipes import WeightFormat


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that decides an engine's command line; sizes are per variant."""

    python: Path
    artifact: Path
    manifest: Manifest
    served_name: str
    port: int
    api_key: str
    context_length: int
    max_sequences: int
    threads: int
    kv_cache_gib: float


@dataclass(frozen=True, kw_only=True)
class HeldWeights:
    """What an engine says it holds: all weights in bytes, and how the layers are stored.

    ``kinds`` counts layers or tensors by the engine's own name for their storage or kernel.
    """

    weight_bytes: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """One engine. ``claims`` are the capabilities the self-test holds it to.

    ``distributions`` are the normalized names under which package indexes know the engine; its
    environment holds one of them. An ``emulated`` engine computes what the format says in wider
    numbers: its quality counts, its speed does not.
    """

    name: str
    title: str
    environment: str
    distributions: tuple[str, ...]
    weight_formats: frozenset[WeightFormat]
    argv: Callable[[Launch], list[str]]
    env: Callable[[Launch], dict[str, str]]
    health_path: str
    weights_request: tuple[str, str, bytes]
    parse_weights: Callable[[bytes], HeldWeights]
    expected_weight_bytes: Callable[[Manifest], tuple[int, int]]
    claims: frozenset[str]
    emulated: bool = False
