"""What theory says about the order of recipes: pairs that no measurement may contradict."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.paired import difference
from eval.samples import Sample, pair
from loadtest.intervals import Estimate

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Step:
    """``better`` should lose at most as much as ``worse``, because of ``why``."""

    better: str
    worse: str
    why: str


def _chain(why: str, *names: str) -> tuple[Step, ...]:
    return tuple(
        Step(better=better, worse=worse, why=why) for better, worse in itertools.pairwise(names)
    )


STEPS = (
    *_chain("smaller groups", "gptq-int4-g32", "gptq-int4-g64", "gptq-int4-g128"),
    *_chain("smaller groups", "awq-int4-g32", "awq-int4-g64", "awq-int4-g128"),
    *_chain("smaller groups", "rtn-int4-g32", "rtn-int4-g128"),
    *_chain("more bits", "gptq-int8-g128", "gptq-int4-g128", "gptq-int3-g128", "gptq-int2-g64"),
    *_chain("GPTQ against rounding", "gptq-int4-g32", "rtn-int4-g32"),
    *_chain("GPTQ against rounding", "gptq-int4-g64", "rtn-int4-g64"),
    *_chain("GPTQ against rounding", "gptq-int4-g128", "rtn-int4-g128"),
    *_chain("AWQ against rounding", "awq-int4-g32", "rtn-int4-g32"),
    *_chain("AWQ against rounding", "awq-int4-g64", "rtn-int4-g64"),
    *_chain("AWQ against rounding", "awq-int4-g128", "rtn-int4-g128"),
    *_chain(
        "more bits",
        *("gguf-q8_0", "gguf-q6_k", "gguf-q5_k_m", "gguf-q4_k_m", "gguf-q3_k_m", "gguf-q2_k"),
    ),
    *_chain("importance matrix", "gguf-q2_k-imat", "gguf-q2_k"),
    *_chain("importance matrix", "gguf-q3_k_m-imat", "gguf-q3_k_m"),
    *_chain("8 bits against 4", "fp8", "nvfp4"),
    *_chain("8 bits against 4", "mxfp8", "mxfp4"),
    *_chain("fine-tuning against none", "nvfp4-qat", "nvfp4"),
    *_chain("inputs kept", "nvfp4-w4a16", "nvfp4"),
    *_chain("blocks of 16, two-level scales", "nvfp4", "mxfp4"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A step, and what ``better`` minus ``worse`` measured (nats per token, negative is right).

    ``met``: the measurement does not contradict the step, so the whole interval is not above
    zero; ``shown``: the whole interval lies below.
    """

    step: Step
    interval: Estimate
    met: bool
    shown: bool


def climb(samples: Mapping[str, Sequence[Sample]]) -> list[Finding]:
    """Hold every step whose two recipes were scored against their paired difference.

    ``samples`` are a perplexity task's, by recipe.

    Raises:
        ValueError: two recipes were asked different questions.
    """
    findings = []
    for step in STEPS:
        if step.better not in samples or step.worse not in samples:
            continue
        pairs = pair(samples[step.better], samples[step.worse])
        found = difference(pairs, CONFIDENCE).change
        assert found.bounds is not None, "the task has too few documents for an interval"
        findings.append(
            Finding(step=step, interval=found, met=found.bounds[0] <= 0, shown=found.bounds[1] < 0)
        )
    return findings
