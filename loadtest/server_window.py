"""What a server told of itself in a window of time, from samples of its ``/metrics``. Pure.

Gauges are a few looks and not a mean over time: a queue that comes and goes between two looks is
not seen. Counters count all that happened between the first look and the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import BaseModel, ConfigDict

RUNNING, WAITING = "assay_requests_running", "assay_requests_waiting"
KV_USED, MEMORY = "assay_kv_cache_used_ratio", "assay_memory_bytes"
PROMPT, REUSED = "assay_prompt_tokens_total", "assay_reused_prompt_tokens_total"
GENERATED = "assay_generation_tokens_total"
NAMES = (RUNNING, WAITING, KV_USED, MEMORY, PROMPT, REUSED, GENERATED)


@dataclass(frozen=True, kw_only=True)
class ServerSample:
    """What one variant told at a moment of the monotonic clock; what it does not know is absent."""

    at_s: float
    variant: str
    values: Mapping[str, float]


class ServerWindow(BaseModel):
    """A variant in a window; None is what its engine does not tell, or too few looks to say.

    ``running`` and ``waiting`` are requests inside the engine, ``kv_used`` the part of its cache
    that they hold (0 to 1), all means of the looks; rates are tokens per second as the server
    counts them, ``reused`` the part of the prompt tokens that came from its cache.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    looks: int
    running: float | None = None
    most_running: float | None = None
    waiting: float | None = None
    most_waiting: float | None = None
    kv_used: float | None = None
    most_kv_used: float | None = None
    memory_bytes: int | None = None
    prompt_tok_per_s: float | None = None
    generated_tok_per_s: float | None = None
    reused: float | None = None


def server_window(
    samples: Sequence[ServerSample], variant: str, start_s: float, end_s: float
) -> ServerWindow | None:
    """What a variant's samples from ``start_s`` to ``end_s`` say; None where there is none."""
    mine = [it for it in samples if it.variant == variant and start_s <= it.at_s <= end_s]
    if not mine:
        return None
    memory = _values(mine, MEMORY)
    prompt, reused = _grown(mine, PROMPT), _grown(mine, REUSED)
    return ServerWindow(
        looks=len(mine),
        running=_mean(mine, RUNNING),
        most_running=max(_values(mine, RUNNING), default=None),
        waiting=_mean(mine, WAITING),
        most_waiting=max(_values(mine, WAITING), default=None),
        kv_used=_mean(mine, KV_USED),
        most_kv_used=max(_values(mine, KV_USED), default=None),
        memory_bytes=int(max(memory)) if memory else None,
        prompt_tok_per_s=_rate(mine, prompt),
        generated_tok_per_s=_rate(mine, _grown(mine, GENERATED)),
        reused=reused / prompt if prompt and reused is not None else None,
    )


def joined_windows(windows: Sequence[ServerWindow]) -> ServerWindow | None:
    """Several rounds as one: means of the rounds by their looks, the most of any."""
    if not windows:
        return None
    return ServerWindow(
        looks=sum(window.looks for window in windows),
        **{name: _weighed(windows, name) for name in _MEANS},
        **{name: _most(windows, name) for name in _MOSTS},
        memory_bytes=max((w.memory_bytes for w in windows if w.memory_bytes), default=None),
    )


_MEANS = ("running", "waiting", "kv_used", "prompt_tok_per_s", "generated_tok_per_s", "reused")
_MOSTS = ("most_running", "most_waiting", "most_kv_used")


def _values(samples: Sequence[ServerSample], name: str) -> list[float]:
    return [sample.values[name] for sample in samples if name in sample.values]


def _mean(samples: Sequence[ServerSample], name: str) -> float | None:
    values = _values(samples, name)
    return fmean(values) if values else None


def _grown(samples: Sequence[ServerSample], name: str) -> float | None:
    """By how much a counter grew; None where it began anew, or was seen but once."""
    values = _values(samples, name)
    grown = values[-1] - values[0] if len(values) > 1 else -1.0
    return grown if grown >= 0 else None


def _rate(samples: Sequence[ServerSample], grown: float | None) -> float | None:
    seconds = samples[-1].at_s - samples[0].at_s
    return grown / seconds if grown is not None and seconds > 0 else None


def _weighed(windows: Sequence[ServerWindow], name: str) -> float | None:
    told = [(getattr(it, name), it.looks) for it in windows if getattr(it, name) is not None]
    looks = sum(weight for _, weight in told)
    return sum(value * weight for value, weight in told) / looks if looks else None


def _most(windows: Sequence[ServerWindow], name: str) -> float | None:
    return max((it for w in windows if (it := getattr(w, name)) is not None), default=None)
