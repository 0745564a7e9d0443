"""Who is served together while it is measured: all variants, or one after the other.

Pure. The baseline is asked twice, and its two passes enclose everything else: what the machine
drifts by in the meantime counts as noise. Where only one variant is served at a time, the baseline
is started once more for its second pass.
"""

from dataclasses import dataclass

from deploy.plan import Plan

Pass = tuple[str, bool]
"""A variant to be asked all tasks, and whether it is the second time."""


def pass_label(one: Pass) -> str:
    """How a pass is called where it is spoken of."""
    name, repeat = one
    return f"{name} (repeat)" if repeat else name


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What is served at once, whether it is load-tested, and the passes of questions."""

    variants: tuple[str, ...]
    load: bool
    passes: tuple[Pass, ...]


def quality_passes(variants: tuple[str, ...], baseline: str) -> tuple[Pass, ...]:
    """Every variant once, in their order, between the two passes of the baseline."""
    others = tuple((name, False) for name in variants if name != baseline)
    return ((baseline, False), *others, (baseline, True))


def turns(plan: Plan, *, alone: bool) -> list[Turn]:
    """The turns of a comparison, in order; ``alone``: each variant is served by itself."""
    passes = quality_passes(plan.variants, plan.baseline)
    if not alone:
        return [Turn(variants=plan.variants, load=True, passes=passes)]
    return [
        Turn(variants=(name,), load=not repeat, passes=((name, repeat),)) for name, repeat in passes
    ]
