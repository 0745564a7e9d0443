"""Realistic comparisons for the report's tests, from a few numbers per variant."""

import math
from dataclasses import dataclass
from typing import Literal

from eval.schema import (
    ComparisonFile,
    Flips,
    LoadComparison,
    TaskComparison,
    VariantComparison,
)
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate

MIB = 1 << 20
CONCURRENCIES = (1, 4, 16)


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A variant in a few numbers; ``loss`` is in points of accuracy, ``speed`` in tok/s."""

    name: str
    recipe: str
    engine: str
    bits: float
    speed: float
    loss: float
    nll: float
    memory_mib: float = 900


CPU_DEMO = (
    Sketch(
        name="bf16-vllm", recipe="bf16", engine="vllm", bits=16, speed=412, loss=0, nll=0,
        memory_mib=1490,
    ),
    Sketch(
        name="gptq-int4-g128-vllm", recipe="gptq-int4-g128", engine="vllm", bits=6.41, speed=531,
        loss=-2.1, nll=0.031, memory_mib=1460,
    ),
    Sketch(
        name="awq-int4-g128-vllm", recipe="awq-int4-g128", engine="vllm", bits=6.44, speed=498,
        loss=-1.9, nll=0.027, memory_mib=1462,
    ),
    Sketch(
        name="gguf-bf16", recipe="gguf-bf16", engine="llamacpp", bits=16, speed=688, loss=0.1,
        nll=0.0004, memory_mib=241,
    ),
    Sketch(
        name="gguf-q8_0", recipe="gguf-q8_0", engine="llamacpp", bits=8.5, speed=941, loss=-0.2,
        nll=0.0011, memory_mib=206,
    ),
    Sketch(
        name="gguf-q4_k_m", recipe="gguf-q4_k_m", engine="llamacpp", bits=5.27, speed=902,
        loss=-1.1, nll=0.018, memory_mib=195,
    ),
    Sketch(
        name="gguf-q2_k", recipe="gguf-q2_k", engine="llamacpp", bits=3.35, speed=871, loss=-24.6,
        nll=0.71, memory_mib=186,
    ),
)  # fmt: skip


def estimate(value: float, half_width: float) -> Estimate:
    """An estimate with a symmetric interval."""
    return Estimate(value=value, low=value - half_width, high=value + half_width)


def share(value: float) -> Estimate:
    """A share of requests, known to three points or so."""
    return Estimate(value=value, low=max(0.0, value - 0.03), high=min(1.0, value + 0.03))


def judge(gain: Estimate, margin: float) -> Literal["equal_or_better", "worse", "undecided"]:
    """Where the whole interval lies against the margin."""
    if gain.low is None or gain.high is None:
        return "undecided"
    if gain.low >= -margin:
        return "equal_or_better"
    return "worse" if gain.high < -margin else "undecided"


def task_comparison(
    sketch: Sketch, metric: str, score: float, items: int, *, baseline: bool
) -> TaskComparison:
    """One task's comparison; the baseline has no difference to itself."""
    accuracy = metric == "accuracy"
    change = sketch.loss / 100 if accuracy else sketch.nll
    width = 0.7 / math.sqrt(items) * (0.25 + math.sqrt(abs(change))) if accuracy else 0.004
    changed = (width * items / 1.96) ** 2
    lost, gained = (max(0, round((changed - sign * change * items) / 2)) for sign in (1, -1))
    flips = Flips(to_wrong=lost, to_right=gained, p_value=0.0213)
    return TaskComparison(
        metric="accuracy" if accuracy else "nll_per_token",
        items=items,
        score=estimate(score + change, 0.026 if accuracy else 0.05),
        difference=None if baseline else estimate(change, width),
        noise_floor=0.004 if accuracy else 0.0007,
        flips=None if baseline or not accuracy else flips,
        margin=0.03 if accuracy else 0.05,
        verdict=judge(estimate(change if accuracy else -change, width), 0.03 if accuracy else 0.05),
        significant=abs(change) > width,
    )


def load_comparison(sketch: Sketch, concurrency: int, baseline_speed: float) -> LoadComparison:
    """The load figures at one concurrency, which saturate as a real engine's do."""
    speed = sketch.speed * (1 - math.exp(-(concurrency + 1) / 5))
    base = baseline_speed * (1 - math.exp(-(concurrency + 1) / 5))
    tpot = concurrency / speed
    ttft = 128 * tpot * 0.11 + 0.004
    shape = {"p50": 1.0, "p90": 1.4} if concurrency > 1 else {"p50": 1.0}
    ok = ttft < 1.0 and tpot < 0.05
    return LoadComparison(
        point=ClosedLoop(concurrency),
        requests=round(speed / 64 * 12),
        errors=0,
        ttft_s={key: estimate(ttft * f, ttft * f * 0.07) for key, f in shape.items()},
        tpot_s={key: estimate(tpot * f, tpot * f * 0.03) for key, f in shape.items()},
        e2e_s={key: estimate((ttft + 63 * tpot) * f, tpot) for key, f in shape.items()},
        output_tok_per_s=estimate(speed, speed * 0.035),
        output_tok_per_s_ratio=estimate(speed / base, speed / base * 0.04),
        goodput_per_s=estimate(speed / 64 * (0.99 if ok else 0.4), speed / 64 * 0.04),
        goodput_share=share(0.994 if ok else 0.4),
        cost_per_million_output_tokens=None,
    )


def variant_comparison(sketch: Sketch, baseline: Sketch) -> VariantComparison:
    """One variant of a run of the cpu-demo plan's size."""
    is_baseline = sketch is baseline
    weights = 24.2e6 * sketch.bits / 8
    scores = {
        "assay_text": ("nll_per_token", 2.317, 400),
        "assay_choice": ("accuracy", 0.783, 1200),
        "assay_words": ("accuracy", 0.704, 600),
    }
    return VariantComparison(
        variant=sketch.name,
        recipe=sketch.recipe,
        engine=sketch.engine,
        bits_per_weight=sketch.bits,
        artifact_bytes=round(weights * 1.04),
        weight_bytes=round(weights),
        held_weight_bytes=round(weights * 1.01),
        memory_bytes=round(sketch.memory_mib * MIB),
        quality={
            task: task_comparison(sketch, metric, score, items, baseline=is_baseline)
            for task, (metric, score, items) in scores.items()
        },
        load=[load_comparison(sketch, level, baseline.speed) for level in CONCURRENCIES],
        saturated_client=False,
        refused_tasks={},
    )


def comparison(sketches: tuple[Sketch, ...] = CPU_DEMO, model: str = "reference") -> ComparisonFile:
    """The comparison of the given variants; the first is the baseline."""
    return ComparisonFile(
        run="cpu-demo-1a2b3c4d",
        plan="cpu-demo",
        model=model,
        baseline=sketches[0].name,
        variants=[variant_comparison(sketch, sketches[0]) for sketch in sketches],
        attribution={
            sketch.name: {
                "assay_choice_engine": estimate(0.001, 0.004),
                "assay_choice_recipe": estimate(sketch.loss / 100 - 0.001, 0.02),
                "speed_ratio_engine": estimate(1.67, 0.05),
                "speed_ratio_recipe": estimate(sketch.speed / 688, 0.04),
            }
            for sketch in sketches
            if sketch.recipe.startswith("gguf-") and sketch.recipe != "gguf-bf16"
        },
    )


def thirty() -> tuple[Sketch, ...]:
    """Thirty variants on four engines, close together, as a large plan would have them."""
    recipes = ["bf16", "fp8", "int8-w8a8", "gptq-int4-g128", "awq-int4-g128", "nvfp4", "mxfp4"]
    engines = ["vllm", "trtllm", "transformers"]
    sketches = [
        Sketch(
            name=f"{recipe}-{engine}", recipe=recipe, engine=engine, bits=16 / (1 + place % 4),
            speed=400 + 61 * place + 35 * row + 17 * ((place * 7 + row * 3) % 5),
            loss=-0.35 * place + 0.2 * row, nll=0.004 * place, memory_mib=900 + 90 * row,
        )
        for row, engine in enumerate(engines)
        for place, recipe in enumerate(recipes)
    ]  # fmt: skip
    kinds = ["bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_m", "q2_k"]
    sketches += [
        Sketch(
            name=f"gguf-{kind}", recipe=f"gguf-{kind}", engine="llamacpp", bits=16 / (1 + place),
            speed=640 + 23 * place, loss=-0.05 * place**2.4, nll=0.002 * place**2.2,
            memory_mib=500 - 20 * place,
        )
        for place, kind in enumerate(kinds)
    ]  # fmt: skip
    return tuple(sketches)
