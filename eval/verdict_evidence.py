"""The evidence under a verdict and its limits, one short sentence each. Pure functions."""

from collections.abc import Sequence

from eval.answer_costs import cost_words
from eval.reasons import Reason, sentences
from eval.schema import LoadComparison, TaskComparison, VariantComparison
from eval.verdict_words import (
    View,
    amount,
    interval_words,
    is_emulated,
    loss_of,
    margin_words,
    no_signal_words,
    slo_words,
    times,
)
from loadtest.intervals import Estimate

MIB = 1 << 20


def _speed_reason(view: View, variant: VariantComparison, level: LoadComparison) -> str:
    own = f"It serves {level.output_tok_per_s.value:,.0f} tokens per second at {level.point.label}"
    base = view.baseline.load_at(level.point)
    if view.is_baseline(variant) or base is None:
        return f"{own}."
    if view.baseline.why_void:
        return f"{own}; the baseline's own speed is void, so there is no ratio."
    ratio = level.output_tok_per_s_ratio
    interval = f" ({_between(ratio)})" if ratio.bounds else ""
    return (
        f"{own}, {view.comparison.baseline} {base.output_tok_per_s.value:,.0f}: "
        f"{times(ratio.value)}{interval}."
    )


def _task_reason(task: str, result: TaskComparison) -> str | None:
    loss = loss_of(result)
    if loss is None or result.no_signal is not None:
        return None
    word = "loss" if loss.value > 0 else "gain"
    turned = loss if loss.value > 0 else -loss
    return (
        f"{task}: {word} of {amount(result.metric, turned.value)} "
        f"({interval_words(result.metric, turned)}) over {result.items:,} items, "
        f"proven to the {margin_words(result)}."
    )


def _size_reason(view: View, variant: VariantComparison) -> str:
    share = f"{times(variant.weight_bytes / view.baseline.weight_bytes)} of the baseline's"
    weights = f"Its weights take {variant.weight_bytes / MIB:,.1f} MiB"
    memory = variant.memory_bytes
    in_use = f"; {memory / MIB:,.0f} MiB of memory in use" if memory is not None else ""
    return f"{weights}{'' if view.is_baseline(variant) else f', {share}'}{in_use}."


def _share(ratio: Estimate) -> str:
    if ratio.bounds is None:
        return f"about {times(ratio.value)}"
    return f"{times(ratio.value)} ({_between(ratio)})"


def _between(ratio: Estimate) -> str:
    return " to ".join(f"{bound:.2f}" for bound in ratio.bounds or ())


def reasons(
    view: View, variant: VariantComparison, level: LoadComparison | None, equal: Sequence[str]
) -> list[str]:
    """The evidence for the recommended variant, speed first."""
    found = []
    if level is not None:
        found.append(_speed_reason(view, variant, level))
        if slo_words(view.objectives.slo):
            found.append(
                f"{100 * level.goodput_share.value:.0f} % of its requests meet "
                f"{slo_words(view.objectives.slo)}."
            )
        found += cost_reason(view, variant, level)
    shares = view.comparison.attribution.get(variant.variant, {})
    if "speed_ratio_engine" in shares:
        found.append(
            f"Of the speed, the engine gives {_share(shares['speed_ratio_engine'])} and the "
            f"number format {_share(shares['speed_ratio_recipe'])}."
        )
    found += [
        reason
        for task, result in variant.quality.items()
        if (reason := _task_reason(task, result)) is not None
    ]
    found.append(_size_reason(view, variant))
    if variant.kernels is not None:
        found.append(f"It runs on {variant.kernels.phrase}.")
    if equal:
        held = [v for v in view.comparison.variants if v.variant in {variant.variant, *equal}]
        known = all(v.memory_bytes is not None for v in held)
        why_smaller = "needs less memory" if known else "has the smaller weights"
        verb = "do" if len(equal) > 1 else "does"
        found.append(
            f"{', '.join(equal)} {verb} as well within the interval of the measurement; "
            f"{variant.variant} {why_smaller}."
        )
    found.append(how_sure(view))
    return found


def cost_reason(view: View, variant: VariantComparison, level: LoadComparison | None) -> list[str]:
    """What an answer costs, beside the baseline's; nothing where a speed of the two is void."""
    void = variant.why_void or view.baseline.why_void or is_emulated(variant)
    if level is None or void:
        return []
    name = "" if view.is_baseline(variant) else view.comparison.baseline
    theirs = view.baseline.load_at(level.point)
    words = cost_words(level, theirs, view.objectives.price_per_hour, name)
    return [words] if words else []


def how_sure(view: View) -> str:
    """The confidence of the whole verdict, which no single interval shows."""
    others = len(view.comparison.variants) - 1
    return (
        f"How sure: {100 * view.objectives.confidence:g} % for all that is said here to pass or to "
        f"be better, over {others} variants and their baseline together."
    )


def _unpaired(view: View) -> list[str]:
    """Which speeds were not measured in turns with the baseline's, though rounds tell when."""
    apart = [
        variant.variant
        for variant in view.comparison.variants
        if not view.is_baseline(variant)
        and any(not it.paired and _dated(it) and len(it.rounds) > 1 for it in variant.load)
    ]
    if not apart:
        return []
    return [
        f"{', '.join(apart)}: not load-tested in turns with {view.comparison.baseline}, so what "
        "changed on the machine between the two is in the ratio and not in its interval."
    ]


def _dated(level: LoadComparison) -> bool:
    return all(found.started_at for found in level.rounds)


def caveats(view: View, open_: Sequence[tuple[str, Sequence[Reason]]]) -> list[str]:
    """What the verdict could not rest on."""
    found = [f"{name} failed: {why}" for name, why in view.comparison.failed.items()]
    found += [f"{name} is undecided: {'; '.join(sentences(reasons))}." for name, reasons in open_]
    for task, result in view.baseline.quality.items():
        if result.no_signal is not None:
            found.append(
                f"{task}: {no_signal_words(result)}; it proves nothing and is not counted."
            )
        elif result.noise_floor is None:
            found.append(f"{task}: the baseline was asked once, so its noise is unknown.")
        elif result.noise_floor > result.margin:
            found.append(
                f"{task}: asking the baseline again may change "
                f"{amount(result.metric, result.noise_floor)}, more than the margin."
            )
    for variant in view.comparison.variants:
        found += [
            f"{task}: of {variant.variant}, {result.truncated_prompts:,} prompts did not fit "
            "serving.context_length and were cut."
            for task, result in variant.quality.items()
            if result.truncated_prompts
        ]
    found += [
        f"{variant.variant}: {remark}."
        for variant in view.comparison.variants
        if variant.kernels is not None
        for remark in variant.kernels.remarks
    ]
    found += _unpaired(view)
    silent = [v.variant for v in view.comparison.variants if v.memory_bytes is None]
    if silent:
        found.append(f"Memory in use is unknown for {', '.join(silent)}.")
    return found
