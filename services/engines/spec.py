"""What Assay must know of an engine to run it: data and small pure functions.

The spec of one engine stands in ``services/engines/<engine>_engine.py``; nothing outside that
file names the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from quantize.artifact.manifest import Manifest
from quantize.formats.engine_support import Devices
from quantize.jobs.job_module import JobModule, Progress
from quantize.machine import Device
from services.engines.kernels import Judgement, Kernels
from services.engines.model_question import ModelAnswer, ModelQuestion
from services.engines.tuning import UNTUNED, Tuning
from services.http.request_fields import Route

# How an engine is compiled from an artifact: with its weights as they are stored, or with 16-bit
# weights rounded to integers and the inputs left alone.
EngineBuild = Literal["stored", "int8", "int4"]


# Everything that an engine may claim, and the self-test can prove.
CAPABILITIES = frozenset(
    {
        "chat",
        "echo_logprobs",
        "every_end",
        "ignore_eos",
        "logprobs",
        "min_tokens",
        "n",
        "plain_sampling",
        "response_format",
        "seed",
        "stop",
        "stream_usage",
        "token_ids",
    }
)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Everything that decides an engine's command line; sizes are per variant.

    ``device`` is what the engine computes on. ``kv_cache_gib`` None leaves the key-value cache what
    the weights leave. ``kv_cache_dtype`` is one of the engine's own names (None: its default);
    ``engine_build`` asks for an engine compiled from the artifact first. ``scratch`` is a directory
    for what the engine must find as a file, ``cache`` one that outlives it, for what it compiles.
    """

    python: Path
    artifact: Path
    manifest: Manifest
    served_name: str
    port: int
    api_key: str
    context_length: int
    max_sequences: int
    threads: int
    kv_cache_gib: float | None
    device: Device = "cpu"
    tuning: Tuning = UNTUNED
    kv_cache_dtype: str | None = None
    engine_build: EngineBuild | None = None
    scratch: Path = Path()
    cache: Path = Path()


@dataclass(frozen=True, kw_only=True)
class HeldWeights:
    """What an engine says it holds: all weights in bytes, and how the layers are stored.

    ``kinds`` counts layers or tensors by the engine's own name for their storage or kernel;
    ``kernels`` are what computes them, None where the engine does not tell.
    """

    weight_bytes: int
    kinds: Mapping[str, int]
    kernels: Kernels | None = None


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """One engine. ``claims`` are the capabilities the self-test holds it to.

    ``distributions`` are the normalized names under which package indexes know the engine; its
    environment holds one of them. An ``emulated`` engine computes what the format says in wider
    numbers: its quality counts, its speed does not.

    ``checkpoints`` says which formats it loads (by their names in the table of storage formats,
    whose rows decide it), and how it computes each on which device;
    ``plain_names`` are those whose variants need no engine in their name. ``kv_cache_dtypes`` are
    the names it takes for the type of its key-value cache, with the devices that have it.
    ``cpu_distributions`` are builds that use no GPU even where there is one. ``files`` are written
    into the launch's scratch directory before the start: text, or a path to be linked to. An engine
    that cannot tell its weights has no ``weights_request``, one that asks for no key no
    ``takes_key``; ``engine_builds`` are the ways in which it can compile an engine from an artifact
    ahead of time. ``series`` says under which names (of samples, in its ``metrics_path``) it tells
    what the ENGINE part of the SERIES table (``services/metrics/series.py``) asks of every engine,
    in the same unit; several add up. ``refuses`` are fields of a request, as paths, that it is
    never asked though it knows them, with the reason that the client is told. ``tunes`` are the
    options of a plan that it takes (``tuning.py``), ``own_flags`` those of its command line that
    ``engine_args`` must leave alone. ``fields`` are those of a request that it does, by route; an
    engine without them refuses by itself what it does not know. ``no_limit`` is how a completion
    says to it that it may be as long as there is room. ``variables`` are how the names of
    its own environment variables begin: what they say is the plan's to say, and the user's never
    reach it. One that ``rounds_quantized`` rounds the inputs of quantized layers to 8 bits,
    whatever their format. ``kernels_in_log`` finds in its log what it tells of its kernels nowhere
    else, ``judge_kernels`` holds them against what its checkpoint (by name) and the plan ask for.
    One that ``fills_gpu`` sizes a cache for which the plan names no size by what is free on its GPU
    while it starts. ``process_bytes`` is what its processes, the replica's among them, take of a
    CPU machine's memory beside weights, cache and activations, and ``shared_memory_bytes`` what
    must be free in ``/dev/shm`` where its workers are processes of their own. One that
    ``counts_unasked`` counts a token as generated where ``max_tokens`` is 0. ``model_check`` asks
    it, without any weights, whether it serves a model of some configuration.
    """

    name: str
    title: str
    environment: str
    distributions: tuple[str, ...]
    checkpoints: Mapping[str, Devices]
    argv: Callable[[Launch], list[str]]
    env: Callable[[Launch], dict[str, str]]
    health_path: str
    weights_request: tuple[str, str, bytes] | None
    parse_weights: Callable[[bytes], HeldWeights]
    expected_weight_bytes: Callable[[Manifest], tuple[int, int]]
    claims: frozenset[str]
    process_bytes: int = 2 << 30
    shared_memory_bytes: int = 0
    emulated: bool = False
    plain_names: frozenset[str] = frozenset()
    kv_cache_dtypes: Mapping[str, frozenset[Device]] = field(default_factory=dict)
    cpu_distributions: frozenset[str] = frozenset()
    engine_builds: frozenset[EngineBuild] = frozenset()
    takes_key: bool = True
    variables: tuple[str, ...] = ()
    rounds_quantized: bool = False
    fills_gpu: bool = False
    counts_unasked: bool = False
    metrics_path: str = "/metrics"
    series: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refuses: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    tunes: frozenset[str] = frozenset()
    own_flags: frozenset[str] = frozenset()
    fields: Mapping[Route, frozenset[str]] | None = None
    no_limit: int | None = -1
    model_check: JobModule[ModelQuestion, Progress, ModelAnswer] | None = None
    files: Callable[[Launch], Mapping[str, str | Path]] = lambda _launch: {}
    kernels_in_log: Callable[[str], Kernels | None] = lambda _text: None
    judge_kernels: Callable[[Kernels, str, Tuning], Judgement] = lambda *_asked: Judgement()
