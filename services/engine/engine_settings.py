"""What an engine, and the replica around it, are told: where things are, and within what limits."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quantize.artifact.manifest import Manifest
from quantize.machine import probe_machine
from quantize.root import VENVS
from services.engines.spec import Launch
from services.engines.tuning import UNTUNED, Tuning
from services.http.request_body import MAX_BODY_BYTES
from services.variants import Variant

# What engines compile and look up, kept beside them: every service of theirs starts sooner for it.
CACHE = VENVS / "cache"


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How an engine is started; paths as strings, sizes per variant.

    A ``cpu_build`` leaves a GPU alone.
    """

    artifact: str
    python: str
    context_length: int
    max_sequences: int
    threads: int
    kv_cache_gib: float | None
    start_timeout_s: float
    tuning: Tuning = UNTUNED
    cpu_build: bool = False


@dataclass(frozen=True, kw_only=True)
class ReplicaSettings(EngineSettings):
    """What a replica needs to know beside how its engine is started.

    ``memory_gib`` bounds the memory of the engine (None: not), ``hang_timeout_s`` for how long it
    may not answer; it may end ``crashes_before_failed`` - 1 times within ``crash_window_s``.
    ``sampling`` is what a request is given of the fields that it leaves out. Where an ``owner``
    (its Serve application) says who may be awake, ``residency`` is how the plan serves, and
    ``residency_s`` how long the variant stays awake at least.
    """

    variant: str
    log: str
    engine_version: str
    queue_length: int
    request_timeout_s: float
    memory_gib: float | None = None
    hang_timeout_s: float = 30
    crashes_before_failed: int = 4
    crash_window_s: float = 600
    max_body_bytes: int = MAX_BODY_BYTES
    access_log: str | None = None
    key_digests: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    sampling: Mapping[str, float] = field(default_factory=dict)
    owner: str | None = None
    residency: str | None = None
    residency_s: float = 10

    @property
    def places(self) -> int:
        """How many requests are open at once: those that run, and those that wait."""
        return self.max_sequences + self.queue_length


def launch_of(
    variant: Variant, settings: EngineSettings, manifest: Manifest, scratch: Path
) -> Launch:
    """How a variant's engine is started on this machine; each start gives it its port and key."""
    return Launch(
        python=Path(settings.python),
        artifact=Path(settings.artifact),
        manifest=manifest,
        served_name=variant.name,
        port=0,
        api_key="",
        context_length=settings.context_length,
        max_sequences=settings.max_sequences,
        threads=settings.threads,
        kv_cache_gib=settings.kv_cache_gib,
        device="cpu" if settings.cpu_build else probe_machine().device,
        tuning=settings.tuning,
        kv_cache_dtype=variant.kv_cache,
        engine_build=variant.engine_build,
        scratch=scratch,
        cache=CACHE if os.access(VENVS, os.W_OK) else scratch / "cache",
    )
