"""The verdict in plain sentences that are understood in ten seconds. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.plan_sections import Objectives, Slo
from eval.margins import items_needed
from eval.paired import as_loss
from eval.reasons import Reason, sentences
from eval.schema import ComparisonFile, LoadComparison, TaskComparison, VariantComparison
from loadtest.intervals import Estimate
from services.engines.table import ENGINES

# Weights that differ by less are as large.
SAME_SIZE = 0.01


@dataclass(frozen=True, kw_only=True)
class View:
    """What the sentences are about."""

    comparison: ComparisonFile
    objectives: Objectives

    @property
    def baseline(self) -> VariantComparison:
        """The variant that all others are compared with."""
        name = self.comparison.baseline
        return next(v for v in self.comparison.variants if v.variant == name)

    def is_baseline(self, variant: VariantComparison) -> bool:
        """Whether a variant is the baseline itself."""
        return variant.variant == self.comparison.baseline


def amount(metric: str, value: float) -> str:
    """A size of a difference in its unit: points of accuracy, or nats per token."""
    # "z": what rounds to nothing has no sign.
    if metric == "accuracy":
        return f"{100 * value:z.1f} points"
    return f"{value:z.3f} nats per token"


def margin_words(result: TaskComparison) -> str:
    """A task's margin: ``3-point margin``, ``0.05-nat margin``."""
    scaled = 100 * result.margin if result.metric == "accuracy" else result.margin
    return f"{scaled:.3g}{'-point' if result.metric == 'accuracy' else '-nat'} margin"


def loss_of(result: TaskComparison) -> Estimate | None:
    """A task's difference as a loss with its interval; None where it has no interval."""
    found = result.difference
    if found is None or found.bounds is None:
        return None
    return as_loss(found, result.metric)


def interval_words(metric: str, loss: Estimate) -> str:
    """The bounds of a loss in its unit."""
    scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
    return " to ".join(f"{scale * bound:.{digits}f}" for bound in loss.bounds or ())


def worse_task(result: TaskComparison, baseline: str) -> str:
    """Why a task disqualifies a variant."""
    loss = loss_of(result)
    assert loss is not None
    return (
        f"{amount(result.metric, loss.value)} worse than {baseline}, "
        f"beyond the {margin_words(result)}"
    )


def undecided_task(result: TaskComparison, confidence: float, proof: float) -> str:
    """Why a task is not proven, and how many items would settle it at the confidence ``proof``."""
    loss = loss_of(result)
    if loss is None:
        return f"{result.items} items are too few for an interval"
    needed = items_needed(
        result.items, loss, result.margin, confidence, proof=proof, anytime=result.anytime
    )
    known = (
        f"the loss is {amount(result.metric, loss.value)} "
        f"({interval_words(result.metric, loss)}), not proven within the {margin_words(result)}"
    )
    if needed is None:
        return f"{known}; more items would rather prove the opposite"
    about = _round(max(needed, result.items + 1))
    return f"{known}; about {about:,} items would tell, {result.items:,} were asked"


NOTHING_PROVES = (
    "no task has signal, so nothing is proven of it; ask what the baseline can answer "
    "(quality.tasks)"
)


def no_signal_words(result: TaskComparison) -> str:
    """Why a task proves nothing of any variant."""
    why = result.no_signal
    assert why is not None
    score, chance = (_score(result.metric, value) for value in (why.baseline, why.chance))
    guess = "guessing" if result.metric == "accuracy" else "a model that knows nothing"
    p_value = "" if why.p_value is None else f", p = {why.p_value:.2g}"
    words = {
        "at_zero": f"the baseline answers none of {result.items:,} items right",
        "at_ceiling": f"the baseline answers all of {result.items:,} items right",
        "at_chance": f"the baseline's {score} cannot be told from {guess} ({chance}{p_value})",
        "within_margin": f"the baseline's {score} is so near to {guess} ({chance}) that losing "
        f"most of it would pass the {margin_words(result)}",
    }
    return f"no signal: {words[why.kind]}"


def _score(metric: str, value: float) -> str:
    return f"{100 * value:.1f} %" if metric == "accuracy" else f"{value:.2f} nats per token"


def _round(count: int) -> int:
    """Two significant digits, upwards: an estimate is not to look exact."""
    step = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // step) * step


def slo_words(slo: Slo) -> str:
    """The latency objectives in one phrase."""
    limits = {"TTFT": slo.ttft_s, "TPOT": slo.tpot_s, "end to end": slo.e2e_s}
    asked = [f"{name} {1000 * limit:g} ms" for name, limit in limits.items() if limit is not None]
    return ", ".join(asked)


def missed_slo(level: LoadComparison, slo: Slo, share: float) -> str:
    """Why the load disqualifies a variant."""
    did = f"meet {slo_words(slo)}" if slo_words(slo) else "succeed"
    return (
        f"{100 * level.goodput_share.value:.0f} % of the requests at {level.point.label} "
        f"{did}, {100 * share:.0f} % must"
    )


def unproven_slo(level: LoadComparison, slo: Slo, share: float) -> str:
    """Why the load neither passes nor disqualifies a variant."""
    found = level.goodput_share
    bounds = " to ".join(f"{100 * bound:.0f}" for bound in found.bounds or ())
    sure = bounds or "too few to tell how sure that is"
    did = f"meet {slo_words(slo)}" if slo_words(slo) else "succeed"
    return (
        f"{100 * found.value:.0f} % ({sure}) of {level.requests:,} requests at "
        f"{level.point.label} {did}, {100 * share:.0f} % must: not proven; a longer "
        "load.duration_s would tell"
    )


def not_steady(level: LoadComparison) -> str:
    """Why the rounds of a load point are not taken for its steady state."""
    found = level.settling
    assert found is not None
    bounds = " to ".join(f"{bound:.2f}" for bound in found.bounds or ())
    return (
        f"void, not steady at {level.point.label}: the later half of a round's requests takes "
        f"{times(found.value)} ({bounds}) as long as the earlier; a longer load.warmup_s would "
        "mend it"
    )


def other_length(level: LoadComparison, theirs: float, baseline: str) -> str:
    """Why requests per second and latencies do not compare where the model ends its answers."""
    assert level.answers is not None
    return (
        f"answers at {level.point.label} have {level.answers.tokens.value:.0f} tokens where those "
        f"of {baseline} have {theirs:.0f}: what says less is done sooner; without "
        "load.natural_length it would be told"
    )


def ratio_words(ratio: Estimate) -> str:
    """A speed ratio; one whose interval holds 1 is called the same."""
    if ratio.bounds is None:
        return f"about {times(ratio.value)} (too few requests for an interval) the throughput of"
    if ratio.covers(1):
        return "the same throughput as"
    return f"{times(ratio.value)} the throughput of"


def times(value: float) -> str:
    """A ratio: two digits after the point where it is below or near one."""
    return f"{value:.2f}x" if value < 1.095 else f"{value:.1f}x"


def _quality_phrase(variant: VariantComparison) -> str:
    """The worst loss, in the unit of accuracy where there is one."""
    results = [
        r for r in variant.quality.values() if r.difference is not None and r.no_signal is None
    ]
    shown = [r for r in results if r.metric == "accuracy"] or results
    losses = [(loss.value / r.margin if r.margin else loss.value, loss.value, r)
              for r in shown if (loss := loss_of(r)) is not None]  # fmt: skip
    if not losses:
        return ""
    _, value, result = max(losses, key=lambda entry: entry[0])
    what = "accuracy" if result.metric == "accuracy" else "likelihood"
    if value <= 0:
        return f", {what} not lower (proven to the {margin_words(result)})"
    return f", {what} within {amount(result.metric, value)} (proven to the {margin_words(result)})"


def _place(variant: VariantComparison) -> str:
    engine = ENGINES.get(variant.engine)
    return f"{variant.variant} on {engine.title if engine else variant.engine}"


def is_emulated(variant: VariantComparison) -> bool:
    """Whether its engine computes the format in wider numbers, as no deployment would."""
    engine = ENGINES.get(variant.engine)
    return engine is not None and engine.emulated


def _advantage(
    view: View, variant: VariantComparison, level: LoadComparison | None, *, all_: bool = True
) -> str:
    """Speed and size against the baseline; without ``all_`` only what differs."""
    parts = []
    void = any(v.why_void or is_emulated(v) for v in (variant, view.baseline))
    if level is not None and not void and (all_ or not level.output_tok_per_s_ratio.covers(1)):
        speed = ratio_words(level.output_tok_per_s_ratio)
        parts.append(f"{speed} {view.comparison.baseline} at {level.point.label}")
    weights = variant.weight_bytes / view.baseline.weight_bytes
    if all_ or abs(weights - 1) > SAME_SIZE:
        parts.append(f"{times(weights)} the weights")
    return ", ".join(parts)


def recommendation(view: View, variant: VariantComparison, level: LoadComparison | None) -> str:
    """The answer: which variant, and what it brings."""
    if view.is_baseline(variant):
        return f"Run {_place(variant)}: no other variant is better and proven."
    return f"Run {_place(variant)}: {_advantage(view, variant, level)}{_quality_phrase(variant)}."


def not_enough(
    view: View,
    rival: VariantComparison,
    level: LoadComparison | None,
    undecided: Sequence[Reason],
    *,
    fallback: bool,
) -> str:
    """What is missing, and what to do until it is there."""
    until = f" Until then run {view.comparison.baseline}." if fallback else ""
    gain = "" if view.is_baseline(rival) else _advantage(view, rival, level, all_=False)
    would = f" would give {gain}, but" if gain else ""
    return (
        f"Not enough evidence: {_place(rival)}{would} is not proven: "
        f"{undecided[0].sentence}.{until}"
    )


def none_qualifies(view: View, nearest: str, failed: Sequence[Reason]) -> str:
    """Nothing passes; what the best of them fails on."""
    count = len(view.comparison.variants)
    missed = "; ".join(sentences(failed))
    return f"None of the {count} variants meets the objectives; {nearest}: {missed}."
