"""Verdicts as the earlier stage would have written them, one per outcome."""

from eval.reasons import Reason
from eval.schema import ComparisonFile, Ranked, VerdictFile
from tests.eval.report.builders import CPU_DEMO, Sketch, comparison

FEW_ITEMS = Reason(objective="quality", task="assay_choice", words="too few items")
SLOW = Reason(objective="speed", words="TTFT p50 above 50 ms")


def ranking(found: ComparisonFile) -> list[Ranked]:
    """Passing variants by speed, then the undecided ones, then those that fail."""
    ranked = []
    for variant in found.variants:
        verdicts = {task: result.verdict for task, result in variant.quality.items()}
        failed = [
            Reason(
                objective="quality", task=task, words="worse than the baseline, beyond the margin"
            )
            for task, v in verdicts.items()
            if v == "worse"
        ]
        open_ = [
            Reason(
                objective="quality",
                task=task,
                words="the loss is 2.1 points (0.6 to 3.6), not proven within the 3-point margin; "
                "about 1,900 items would tell, 1,200 were asked",
            )
            for task, v in verdicts.items()
            if v == "undecided"
        ]
        score = variant.load[-1].goodput_per_s.value if variant.load else None
        ranked.append(
            Ranked(
                variant=variant.variant,
                passes=not failed and not open_,
                failed=failed,
                undecided=open_,
                score=score,
            )
        )
    return sorted(ranked, key=lambda r: (not r.passes, bool(r.failed), -(r.score or 0)))


def recommended(sketches: tuple[Sketch, ...] = CPU_DEMO) -> VerdictFile:
    """A verdict that recommends the fastest passing variant."""
    order = ranking(comparison(sketches))
    best = order[0].variant
    return VerdictFile(
        outcome="recommended",
        variant=best,
        sentence=f"Run {best}: 2.28 times the baseline's throughput, and no loss of accuracy "
        "beyond the margin of 3 points.",
        reasons=[
            "Serves 910 tokens per second at concurrency 16, the baseline 398 (2.28×).",
            "assay_choice changes by −0.2 points (−1.5 to +1.1), well within the margin of 3.0.",
            "Takes 25.5 MiB on disk, 53 % of the baseline's.",
        ],
        caveats=[
            "gptq-int4-g128-vllm and awq-int4-g128-vllm are undecided: about 1,900 items would "
            "decide them, the run asked 1,200.",
        ],
        ranking=order,
        smallest_passing="gguf-q4_k_m" if len(sketches) > 1 else best,
        fastest_passing=best,
    )


def undecided(sketches: tuple[Sketch, ...] = CPU_DEMO) -> VerdictFile:
    """A verdict that the data do not support."""
    return VerdictFile(
        outcome="not_enough_evidence",
        variant=None,
        sentence="Not enough evidence: gguf-q4_k_m on llama.cpp would give 2.2x the throughput of "
        "bf16-vllm at 16 streams, 0.33x the weights, but is not proven: assay_choice: the loss is "
        "1.1 points (-2.4 to 4.6), not proven within the 3-point margin; about 1,000 items would "
        "tell, 80 were asked. Until then run bf16-vllm.",
        reasons=["assay_choice has 80 items; about 1,000 are needed to see 3 points."],
        caveats=["The load generator was saturated at concurrency 16."],
        ranking=[
            Ranked(
                variant=s.name,
                passes=False,
                failed=[],
                undecided=[FEW_ITEMS],
                score=None,
            )
            for s in sketches
        ],
        smallest_passing=None,
        fastest_passing=None,
    )


def all_failing(sketches: tuple[Sketch, ...] = CPU_DEMO) -> VerdictFile:
    """A verdict in which nothing passes."""
    return VerdictFile(
        outcome="none_qualifies",
        variant=None,
        sentence="No variant qualifies: none answers within 50 ms at 16 requests.",
        reasons=["The nearest is gguf-q8_0 with 82 ms at the median."],
        caveats=[],
        ranking=[
            Ranked(
                variant=s.name,
                passes=False,
                failed=[SLOW],
                undecided=[],
                score=1,
            )
            for s in sketches
        ],
        smallest_passing=None,
        fastest_passing=None,
    )
