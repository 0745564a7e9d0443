"""What is not the same in two runs: machine, software, engines, weights, plan. Pure functions."""

from collections.abc import Iterator, Mapping
from typing import Any

from eval.two_runs.change_file import Setting
from eval.two_runs.kept_run import KeptRun

_MACHINE = ("cpu", "cores", "memory_bytes", "gpu", "platform", "weight-only here")
# How much was measured, not what: rounds and items of either run are used as they are.
AMOUNTS = frozenset(
    {"rounds", "duration_s", "warmup_s", "seed", "concurrencies", "rates_per_s", "stop_early",
     "limit", "tasks", "concurrency", "divergence"}
)  # fmt: skip
# Not the cause of any figure; but where it is by margins that questions end, and among how many
# variants, these decide how many are asked.
_IDLE = frozenset({"variants", "objectives", "name", "explore", "stress"})
_ENDING = frozenset({"variants", "objectives"})
_SHOWN = 12
_DEFAULT = "its default"


def differences(before: KeptRun, after: KeptRun, variants: list[str]) -> list[Setting]:
    """Everything that may be the cause of a change."""
    found = [
        *_environment(before.environment, after.environment),
        *_engines(before, after, variants),
        *_plan(before.plan, after.plan),
    ]
    return sorted(found, key=lambda it: (_ORDER[it.kind], it.name))


_ORDER = {"machine": 0, "software": 1, "engine": 2, "weights": 3, "plan": 4}


def _environment(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Setting]:
    for name in _MACHINE:
        yield from _unequal("machine", name, before.get(name), after.get(name))
    for name in ("python", "git_revision"):
        words = name.replace("git_revision", "Assay's revision")
        yield from _unequal("software", words, before.get(name), after.get(name))
    versions = [dict(side.get("versions") or {}) for side in (before, after)]
    for name in dict.fromkeys([*versions[0], *versions[1]]):
        yield from _unequal("software", name, versions[0].get(name), versions[1].get(name))


def _engines(before: KeptRun, after: KeptRun, variants: list[str]) -> Iterator[Setting]:
    for name in variants:
        yield from _unequal("engine", name, before.engine(name), after.engine(name))
        hashes = (it[:_SHOWN] if (it := run.weights(name)) else None for run in (before, after))
        yield from _unequal("weights", name, *hashes)


def _plan(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Setting]:
    early = any((side.get("quality") or {}).get("stop_early") for side in (before, after))
    idle = _IDLE - _ENDING if early else _IDLE
    for name, sides in _both(before, after).items():
        if name.split(".")[0] not in idle:
            yield from _unequal("plan", name, *sides)


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every key's two values; a plan leaves out one that has its default."""
    sides = [_flat(side) for side in (before, after)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    return {name: (_known(sides[0], name), _known(sides[1], name)) for name in names}


def _known(content: Mapping[str, Any], name: str) -> Any:
    """A key's value; nothing, written or not, is the default."""
    value = content.get(name)
    return _DEFAULT if value is None else value


def _flat(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        inner = _flat(value, f"{path}{name}.") if isinstance(value, Mapping) else None
        found |= {f"{path}{name}": value} if inner is None else inner
    return found


def _unequal(kind: Any, name: str, before: Any, after: Any) -> Iterator[Setting]:
    if before != after:
        yield Setting(kind=kind, name=name, before=_words(before), after=_words(after))


def _words(value: Any) -> str | None:
    return None if value is None else str(value)


def why_other_work(before: KeptRun, after: KeptRun, section: str) -> str:
    """Why what the plan's ``section`` (load, quality) asks is not the same work; "": it is."""
    sections = [dict(run.plan.get(section) or {}) for run in (before, after)]
    changed = {
        name: values
        for name, values in _both(*sections).items()
        if values[0] != values[1] and name.split(".")[0] not in AMOUNTS
    }
    return next(
        (f"{section}.{name} is {now}, it was {then}" for name, (then, now) in changed.items()), ""
    )


def same_seed(before: KeptRun, after: KeptRun) -> bool:
    """Whether generated tasks were drawn alike."""
    seeds = [(run.plan.get("quality") or {}).get("seed", 0) for run in (before, after)]
    return bool(seeds[0] == seeds[1])
