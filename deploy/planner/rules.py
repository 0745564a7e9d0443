"""From a machine and a model to a plan: pure rules, and what they decided in words.

A plan that was chosen is the same again wherever machine and model are: the commands of one
comparison each choose for themselves. So what counts is how much memory a device has, not how much
of it is free at the moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.planner.candidates import CANDIDATES, Candidate, as_published
from deploy.planner.room import placement_of, why_no_room
from deploy.residency.needs import Demand, bytes_on_cpu, bytes_on_gpu
from quantize.fitness import why_not_as_long, why_not_of
from quantize.machine import CPU_NAME, Device, Machine
from quantize.sizing.capacity import GIB, Placement, cache_bytes, need
from quantize.sizing.estimate import expected_seconds
from quantize.source.model_shape import SHAPES, ModelShape
from quantize.source.published import Published
from services.variants import Variant, find_variant, published_variants, refusal

# Of the machine's memory, what engines may take together where all are served at once.
_SHARE_TOGETHER = 0.8
# Of a GPU's memory, what its one engine may take; of a memory that is the system's too, less.
_SHARE_ALONE, _SHARE_OF_SHARED = 0.9, 0.85
_MOST_CONTEXT: Mapping[bool, int] = {True: 2048, False: 4096}
_LEAST_CONTEXT = 256
# A CPU calibrates with a quarter of what a GPU does: 16 sequences win GPTQ a third of what rounding
# loses (RESULTS.md), and 64 take minutes more for every 100 million parameters.
_CPU_CALIBRATION: Mapping[str, int] = {"samples": 16, "sequence_length": 512}
# A CPU is asked the three general tasks that tell most for their time, and so many items of each:
# all of them take a model of 0.1 billion parameters several minutes a variant on two cores.
_CPU_QUALITY: Mapping[str, Any] = {
    "tasks": ["assay_general_text", "assay_general_choice", "assay_general_arithmetic"],
    "limit": 200,
}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What decides a plan. ``devices`` is what each installed engine computes on, by its name.

    ``memory_bytes`` is the device's own memory, of a CPU the machine's; ``config`` and ``shape``
    are the model's. ``published`` is the checkpoint that its user named, where that is one, and
    ``baseline`` the weights that it is to be compared with. ``refusals`` say why engines, by name,
    do not serve models of this configuration as they are.
    """

    machine: Machine
    devices: Mapping[str, Device]
    memory_bytes: int
    config: Mapping[str, Any]
    shape: ModelShape
    published: Published | None = None
    baseline: str | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def on_cpu(self) -> bool:
        """Whether everything computes on the CPU: then all variants are served at once."""
        return self.machine.device == "cpu"

    @property
    def placement(self) -> Placement:
        """The device, and what an engine may use of it."""
        return placement_of(self.machine, self.memory_bytes)


@dataclass(frozen=True, kw_only=True)
class ChosenPlan:
    """A plan's content, and why: a line for each variant that is in it, and that is not."""

    content: Mapping[str, Any]
    taken: Mapping[str, str]
    left_out: Mapping[str, str]
    seconds: float
    size_bytes: float

    def lines(self) -> Iterator[str]:
        """What is told before anything starts."""
        width = max(len(name) for name in (*self.taken, *self.left_out))
        yield f"plan {self.content['name']!r}, chosen for this machine and model (--plan: another)"
        for name, why in self.taken.items():
            yield f"  {name:<{width}}  {why}"
        for name, why in self.left_out.items():
            yield f"  {name:<{width}}  left out: {why}"
        yield (
            f"  to be made at most: {self.size_bytes / 1e9:.1f} GB, in about "
            f"{self.seconds / 60:.0f} minutes (less where there are earlier ones)"
        )


class NoPlanError(ValueError):
    """Nothing of the model can be served on this machine; the message says why."""


@dataclass(kw_only=True)
class _Taking:
    """What is taken so far, and the memory that it takes together.

    ``sequences`` requests of ``tokens`` are loaded at once; one may be of ``context`` tokens. On a
    CPU each engine is given a cache of ``cache_gib``.
    """

    situation: Situation
    context: int
    tokens: int
    sequences: int
    cache_gib: float
    taken: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    together_bytes: float = 0

    def offer(self, candidate: Candidate) -> None:
        """Take the first variant of the candidate that can be, else say why none."""
        reasons: dict[str, str] = {}
        for name in candidate.variants:
            reason = self._why_not(find_variant(name))
            if reason is None:
                first = candidate.variants[0]
                instead = f" ({first}: {reasons[first]})" if first in reasons else ""
                self.taken[name] = candidate.why + instead
                return
            reasons[name] = reason
        self.left_out[candidate.variants[0]] = reasons[candidate.variants[-1]]

    def _why_not(self, variant: Variant) -> str | None:
        here = self.situation
        if variant.engine.name not in here.devices:
            return f"{variant.engine.title} is not installed"
        if reason := refusal(variant, here.devices[variant.engine.name], here.machine):
            return reason
        if variant.recipe.as_published and variant.engine.name in here.refusals:
            return here.refusals[variant.engine.name]
        if reason := why_not_of(variant.recipe, here.config, here.shape):
            return reason
        if reason := why_not_as_long(variant.recipe, here.shape, self.context):
            return reason
        return self._no_room(variant)

    def _no_room(self, variant: Variant) -> str | None:
        return self._none_beside(variant) if self.situation.on_cpu else self._none_alone(variant)

    def _none_alone(self, variant: Variant) -> str | None:
        """A GPU is one engine's at a time."""
        here = self.situation
        asked = bytes_on_gpu(here.shape, variant, self._demand(None), here.published)
        return why_no_room(asked, here.placement)

    def _none_beside(self, variant: Variant) -> str | None:
        """On a CPU all are served at once."""
        room = int(self.situation.memory_bytes * _SHARE_TOGETHER)
        here = self.situation
        asked = bytes_on_cpu(here.shape, variant, self._demand(self.cache_gib), here.published)
        if self.together_bytes + asked > room:
            return (
                f"needs {asked / GIB:.1f} GiB beside the others' "
                f"{self.together_bytes / GIB:.1f}; {room / GIB:.1f} GiB may be taken here"
            )
        self.together_bytes += asked
        return None

    def _demand(self, cache_gib: float | None) -> Demand:
        return Demand(
            context=self.context,
            tokens=self.tokens,
            sequences=self.sequences,
            cache_gib=cache_gib,
        )


def choose_plan(situation: Situation) -> ChosenPlan:
    """The plan for a machine and a model.

    Raises:
        NoPlanError: no variant can be made and served here.
    """
    shape, on_cpu = situation.shape, situation.on_cpu
    context = max(_LEAST_CONTEXT, min(shape.positions, _MOST_CONTEXT[on_cpu]))
    sequences = 16 if on_cpu else 64
    load = _load(situation, context)
    tokens = load["prompt_tokens"] + load["output_tokens"]
    taking = _Taking(
        situation=situation,
        context=context,
        tokens=tokens,
        sequences=sequences,
        cache_gib=_cache_gib(situation, context, sequences),
    )
    for candidate in candidates_for(situation):
        taking.offer(candidate)
    if not taking.taken:
        reasons = "; ".join(f"{name}: {why}" for name, why in taking.left_out.items())
        raise NoPlanError(f"nothing of this model can be served on {_here(situation)}: {reasons}")
    content = {
        "name": situation.machine.device,
        "variants": list(taking.taken),
        "baseline": next(iter(taking.taken)),
        "serving": _serving(situation, context, sequences),
        "load": load,
        "objectives": {"slo": _SLO[on_cpu]},
        **(_on_cpu() if on_cpu else {}),
        **_of_published(situation),
    }
    every = [find_variant(name).recipe for name in taking.taken]
    recipes = [recipe for recipe in every if not recipe.as_published]
    needs = [need(shape, recipe, context=context, concurrency=1) for recipe in recipes]
    return ChosenPlan(
        content=content,
        taken=taking.taken,
        left_out=taking.left_out,
        seconds=sum(
            expected_seconds(r.name, r.method, shape, (), on_gpu=not on_cpu)[0] for r in recipes
        ),
        size_bytes=sum(item.weight_bytes for item in needs),
    )


def candidates_for(situation: Situation) -> tuple[Candidate, ...]:
    """What is worth comparing: of a published checkpoint itself, on every engine that loads it.

    Beside the weights that its user named, on the first of them. A GGUF file decodes to weights, of
    which everything else can be made too.
    """
    usual = CANDIDATES[situation.machine.device]
    published = situation.published
    if published is None:
        return usual
    names = published_variants(published.form)
    if situation.baseline is not None:
        return usual[0], as_published(*names)
    own = tuple(as_published(name) for name in names)
    known = situation.shape.architecture in SHAPES
    return (usual[0], *own, *usual[1:]) if published.is_gguf and known else own


def _of_published(situation: Situation) -> dict[str, Any]:
    """What a plan says of a published checkpoint: its baseline, and that formats are not explored.

    Pictures of formats are drawn of 16-bit weights.
    """
    if situation.published is None:
        return {}
    if situation.baseline is not None:
        return {"source": situation.baseline}
    return {} if situation.published.is_gguf else {"explore": False}


def _on_cpu() -> dict[str, Any]:
    """What takes long on a CPU is made smaller there."""
    return {"calibration": dict(_CPU_CALIBRATION), "quality": dict(_CPU_QUALITY)}


_SLO: Mapping[bool, Mapping[str, float]] = {
    True: {"ttft_s": 2.0, "tpot_s": 0.2},
    False: {"ttft_s": 0.5, "tpot_s": 0.05},
}


def _here(situation: Situation) -> str:
    return "this machine" if situation.machine.name == CPU_NAME else situation.machine.phrase


def _serving(situation: Situation, context: int, sequences: int) -> dict[str, Any]:
    """On a CPU each engine gets a cache for its sequences; a GPU is one engine's at a time."""
    limits: dict[str, Any] = {"context_length": context, "max_sequences": sequences}
    if situation.on_cpu:
        return limits | {"kv_cache_gib": _cache_gib(situation, context, sequences)}
    share = _SHARE_OF_SHARED if situation.placement.shared else _SHARE_ALONE
    alone = {"one_at_a_time": True, "kv_cache_gib": None, "memory_share": share}
    return limits | alone | {"start_timeout_s": 1800}


def _cache_gib(situation: Situation, context: int, sequences: int) -> float:
    wanted = sequences * cache_bytes(situation.shape, context, 2)
    return round(max(0.5, wanted / GIB), 2)


def _load(situation: Situation, context: int) -> dict[str, Any]:
    """A prompt and an answer that fit the context, at the loads that such a device is used for."""
    prompt, output = (128, 64) if situation.on_cpu else (512, 128)
    shrink = min(1.0, context / (prompt + output))
    return {
        "concurrencies": [1, 4, 16] if situation.on_cpu else [1, 8, 64],
        "prompt_tokens": max(16, int(prompt * shrink * 0.9)) if shrink < 1 else prompt,
        "output_tokens": max(16, int(output * shrink * 0.9)) if shrink < 1 else output,
        "duration_s": 4,
        "rounds": 5,
    }
