"""The verdict's order and its words, down to what is not known.

covers: eval/verdict_words.py
"""

from typing import Any

import pytest

from deploy.plan_sections import Objectives, Slo
from eval.decision.told_apart import are_equal
from eval.reasons import sentences
from eval.schema import ComparisonFile, VariantComparison, VerdictFile
from eval.terminal import render_terminal
from eval.verdict import decide
from eval.verdict_words import amount, ratio_words
from loadtest.intervals import Estimate
from loadtest.pairing import Noise, RoundFigures
from loadtest.summary import Answers
from tests.eval.report.builders import CPU_DEMO, comparison, share
from tests.services.engines.recorded_kernels import on_card

OBJECTIVES = Objectives(slo=Slo(ttft_s=1.0, tpot_s=0.05), accuracy_margin=0.03)


def only(*names: str) -> ComparisonFile:
    return comparison(tuple(sketch for sketch in CPU_DEMO if sketch.name in names))


def changed(found: ComparisonFile, name: str, **changes: Any) -> ComparisonFile:
    variants = [v.model_copy(update=changes) if v.variant == name else v for v in found.variants]
    return found.model_copy(update={"variants": variants})


def of(found: ComparisonFile, name: str) -> VariantComparison:
    return next(v for v in found.variants if v.variant == name)


def with_load(found: ComparisonFile, name: str, **changes: Any) -> ComparisonFile:
    load = [level.model_copy(update=changes) for level in of(found, name).load]
    return changed(found, name, load=load)


def ranked(verdict: VerdictFile, name: str) -> tuple[bool, list[str], list[str]]:
    entry = next(entry for entry in verdict.ranking if entry.variant == name)
    return entry.passes, sentences(entry.failed), sentences(entry.undecided)


def test_the_answer_is_one_sentence_with_speed_size_and_quality() -> None:
    verdict = decide(comparison(), OBJECTIVES)
    assert (verdict.outcome, verdict.variant) == ("recommended", "gguf-q4_k_m")
    assert verdict.sentence == (
        "Run gguf-q4_k_m on llama.cpp: 2.2x the throughput of bf16-vllm at 16 streams, "
        "0.33x the weights, accuracy within 1.1 points (proven to the 3-point margin)."
    )


def test_passing_variants_come_first_then_undecided_then_failing_ones() -> None:
    verdict = decide(comparison(), OBJECTIVES)
    classes = [2 if r.failed else 1 if r.undecided else 0 for r in verdict.ranking]
    assert classes == sorted(classes)
    assert verdict.ranking[0].variant == "gguf-q4_k_m"
    assert ranked(verdict, "gguf-q2_k")[1][0].startswith("assay_text: 0.710 nats per token worse")


def test_of_two_that_cannot_be_told_apart_the_smaller_is_run_and_it_is_said() -> None:
    verdict = decide(comparison(), OBJECTIVES)
    assert (
        "gguf-q8_0 does as well within the interval of the measurement; gguf-q4_k_m needs less "
        "memory." in verdict.reasons
    )


def test_a_difference_beyond_the_interval_beats_the_smaller_size() -> None:
    fast = with_load(
        comparison(), "gguf-q8_0", goodput_per_s=Estimate(value=30.0, low=29.0, high=31.0)
    )
    assert decide(fast, OBJECTIVES).variant == "gguf-q8_0"


def test_kernels_are_evidence_and_what_must_be_said_of_them_a_caveat() -> None:
    chosen = on_card("9.0", "AutoAWQMarlinLinearMethod", "MarlinLinearKernel")
    eager = chosen.model_copy(update={"remarks": ("eager mode",)})
    found = changed(comparison(), "gguf-q4_k_m", kernels=chosen)
    verdict = decide(changed(found, "awq-int4-g128-vllm", kernels=eager), OBJECTIVES)
    assert f"It runs on {chosen.phrase}." in verdict.reasons
    assert "awq-int4-g128-vllm: eager mode." in verdict.caveats


def test_the_smallest_and_the_fastest_that_pass_are_named_beside_the_choice() -> None:
    verdict = decide(comparison(), OBJECTIVES)
    assert (verdict.smallest_passing, verdict.fastest_passing) == ("gguf-q4_k_m", "gguf-q8_0")


def test_a_faster_but_unproven_variant_does_not_win_and_says_what_would_prove_it() -> None:
    found = with_load(
        only("bf16-vllm", "gguf-q8_0", "gptq-int4-g128-vllm"),
        "gptq-int4-g128-vllm",
        goodput_per_s=Estimate(value=99.0, low=98.0, high=100.0),
    )
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    assert "about 2,400 items would tell, 600 were asked" in verdict.caveats[0]


def test_when_only_the_baseline_is_proven_and_a_rival_is_not_there_is_not_enough_evidence() -> None:
    verdict = decide(only("bf16-vllm", "gptq-int4-g128-vllm"), OBJECTIVES)
    assert (verdict.outcome, verdict.variant) == ("not_enough_evidence", None)
    assert verdict.sentence.startswith("Not enough evidence: gptq-int4-g128-vllm on vLLM would")
    assert verdict.sentence.endswith("Until then run bf16-vllm.")
    assert verdict.smallest_passing == "bf16-vllm"


def test_an_unproven_variant_that_would_not_be_better_does_not_cast_doubt() -> None:
    found = with_load(
        only("bf16-vllm", "gptq-int4-g128-vllm"),
        "gptq-int4-g128-vllm",
        goodput_per_s=Estimate(value=1.0, low=0.9, high=1.1),
    )
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant == "bf16-vllm"
    assert verdict.sentence == "Run bf16-vllm on vLLM: no other variant is better and proven."


def test_what_the_answer_says_itself_is_no_caveat_too_and_equal_weights_are_no_gain() -> None:
    found = only("bf16-vllm", "gguf-bf16")
    for name in ("bf16-vllm", "gguf-bf16"):
        found = changed(found, name, void=["other programs"])
    verdict = decide(found, OBJECTIVES)
    assert verdict.outcome == "not_enough_evidence"
    open_ = [it.variant for it in verdict.ranking if it.undecided]
    told = [name for name in open_ if f"{name} is undecided" in " ".join(verdict.caveats)]
    assert len(open_) == 2
    assert len(told) == 1
    assert "would give" not in verdict.sentence


def test_too_few_requests_within_the_latency_objective_disqualify() -> None:
    verdict = decide(with_load(comparison(), "gguf-q4_k_m", goodput_share=share(0.91)), OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    assert ranked(verdict, "gguf-q4_k_m")[1] == [
        "speed: 91 % of the requests at 16 streams meet TTFT 1000 ms, TPOT 50 ms, 95 % must"
    ]


def test_too_much_memory_disqualifies_and_unknown_memory_is_not_proven() -> None:
    bounded = OBJECTIVES.model_copy(update={"memory_gib": 1.0})
    verdict = decide(changed(comparison(), "gguf-q8_0", memory_bytes=None), bounded)
    assert ranked(verdict, "bf16-vllm")[1] == ["memory: 1.46 GiB in use, 1 allowed"]
    assert ranked(verdict, "gguf-q8_0")[2] == [
        "memory: unknown, it could not be read of all the engine's processes"
    ]
    assert "Memory in use is unknown for gguf-q8_0." in verdict.caveats


def test_a_saturated_load_generator_voids_the_speed() -> None:
    verdict = decide(changed(comparison(), "gguf-q4_k_m", saturated_client=True), OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    assert ranked(verdict, "gguf-q4_k_m")[2] == [
        "speed: void, the load generator itself was the limit"
    ]


def test_a_refused_task_is_not_proven() -> None:
    found = comparison()
    kept = {t: r for t, r in of(found, "gguf-q4_k_m").quality.items() if t != "assay_choice"}
    reason = {"assay_choice": "the endpoint cannot do echo_logprobs"}
    found = changed(found, "gguf-q4_k_m", quality=kept, refused_tasks=reason)
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    assert ranked(verdict, "gguf-q4_k_m")[2] == [
        "assay_choice: not measured (the endpoint cannot do echo_logprobs)"
    ]


def test_a_task_that_broke_off_is_not_proven_by_what_was_asked_of_it_but_its_losses_count() -> None:
    why = {"assay_choice": "it failed: the endpoint went away"}
    found = changed(comparison(), "gguf-q4_k_m", refused_tasks=why)
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    items = of(found, "gguf-q4_k_m").quality["assay_choice"].items
    assert ranked(verdict, "gguf-q4_k_m")[2] == [
        f"assay_choice: asked {items:,} items and no further (it failed: the endpoint went away)"
    ]
    failed = ranked(decide(comparison(), OBJECTIVES), "gguf-q2_k")[1]
    broke = dict.fromkeys(of(comparison(), "gguf-q2_k").quality, "it failed")
    found = changed(comparison(), "gguf-q2_k", refused_tasks=broke)
    assert ranked(decide(found, OBJECTIVES), "gguf-q2_k")[1] == failed != []


def test_a_variant_that_was_not_loaded_is_not_proven() -> None:
    verdict = decide(changed(comparison(), "gguf-q4_k_m", load=[]), OBJECTIVES)
    assert ranked(verdict, "gguf-q4_k_m")[2] == [
        "speed: no load figures at the compared concurrency"
    ]


def test_when_everything_fails_nothing_is_recommended() -> None:
    found = only("bf16-vllm", "gguf-q2_k")
    verdict = decide(with_load(found, "bf16-vllm", goodput_share=share(0.1)), OBJECTIVES)
    assert (verdict.outcome, verdict.variant) == ("none_qualifies", None)
    assert verdict.sentence.startswith("None of the 2 variants meets the objectives; ")
    assert verdict.smallest_passing is verdict.fastest_passing is None


@pytest.mark.parametrize(
    ("prefer", "winner"),
    [("goodput", "gguf-q4_k_m"), ("latency", "gguf-q8_0"), ("memory", "gguf-q4_k_m")],
)
def test_the_preference_decides_among_those_that_pass(prefer: str, winner: str) -> None:
    found = comparison()
    for name, latency in (("gguf-q8_0", 1.36), ("gguf-q4_k_m", 1.9), ("gguf-bf16", 2.2)):
        e2e = {"p50": Estimate(value=latency, low=latency - 0.1, high=latency + 0.1)}
        found = with_load(found, name, e2e_s=e2e)
    verdict = decide(found, OBJECTIVES.model_copy(update={"prefer": prefer}))
    assert verdict.variant == winner


def test_the_compared_load_is_the_plans() -> None:
    verdict = decide(comparison(), OBJECTIVES.model_copy(update={"load": 4}))
    assert "at 4 streams" in verdict.sentence


def test_the_noise_of_the_baseline_is_told_where_it_matters() -> None:
    found = comparison()
    quality = {
        "assay_choice": of(found, "bf16-vllm").quality["assay_choice"].model_copy(
            update={"noise_floor": 0.04}
        ),
        "assay_words": of(found, "bf16-vllm").quality["assay_words"].model_copy(
            update={"noise_floor": None}
        ),
    }  # fmt: skip
    caveats = decide(changed(found, "bf16-vllm", quality=quality), OBJECTIVES).caveats
    assert (
        "assay_choice: asking the baseline again may change 4.0 points, more than the margin."
        in caveats
    )
    assert "assay_words: the baseline was asked once, so its noise is unknown." in caveats


def test_notes_of_the_caller_stand_among_the_caveats() -> None:
    verdict = decide(comparison(), OBJECTIVES, notes=["Measured on a CPU."])
    assert verdict.caveats[-1] == "Measured on a CPU."


def test_a_ratio_whose_interval_holds_one_is_called_the_same() -> None:
    assert ratio_words(Estimate(value=1.02, low=0.98, high=1.06)).startswith("the same")
    assert ratio_words(Estimate(value=1.02, low=1.01, high=1.03)) == "1.02x the throughput of"


def test_a_figure_without_an_interval_is_told_apart_from_no_other() -> None:
    vague, exact, other = (
        Estimate(value=1.0, low=None, high=None),
        Estimate(value=5.0, low=5.0, high=5.0),
        Estimate(value=5.1, low=5.1, high=5.1),
    )
    assert are_equal(vague, exact)
    assert are_equal(exact, exact)
    assert not are_equal(exact, other)
    assert ratio_words(vague).startswith("about 1.00x (too few requests for an interval)")


@pytest.mark.parametrize(
    ("found", "failed", "open_"),
    [
        (Estimate(value=1.0, low=0.97, high=1.0), False, False),
        (Estimate(value=1.0, low=0.80, high=1.0), False, True),
        (Estimate(value=1.0, low=None, high=None), False, True),
        (Estimate(value=0.93, low=0.88, high=0.97), False, True),
        (Estimate(value=0.93, low=0.90, high=0.94), True, False),
    ],
)
def test_a_latency_objective_must_be_proven_and_its_failure_too(
    found: Estimate, failed: bool, open_: bool
) -> None:
    verdict = decide(with_load(comparison(), "gguf-q4_k_m", goodput_share=found), OBJECTIVES)
    passes, missed, undecided = ranked(verdict, "gguf-q4_k_m")
    assert (bool(missed), bool(undecided), passes) == (failed, open_, not failed and not open_)
    assert all("a longer load.duration_s would tell" in reason for reason in undecided)


def test_memory_is_never_held_against_the_size_of_a_file() -> None:
    found = changed(comparison(), "gguf-q8_0", memory_bytes=None)
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant == "gguf-q4_k_m"
    assert (
        "gguf-q8_0 does as well within the interval of the measurement; gguf-q4_k_m has the "
        "smaller weights." in verdict.reasons
    )
    preferred = decide(found, OBJECTIVES.model_copy(update={"prefer": "memory"}))
    assert not ranked(preferred, "gguf-q8_0")[0]


def test_cut_prompts_are_told() -> None:
    found = comparison()
    quality = dict(of(found, "gguf-bf16").quality)
    cut = {"truncated_prompts": 12}
    quality["assay_choice"] = quality["assay_choice"].model_copy(update=cut)
    caveats = decide(changed(found, "gguf-bf16", quality=quality), OBJECTIVES).caveats
    assert (
        "assay_choice: of gguf-bf16, 12 prompts did not fit serving.context_length and were cut."
        in caveats
    )


def test_the_terminal_shows_a_line_per_variant_best_first_and_the_answer() -> None:
    found = comparison()
    verdict = decide(found, OBJECTIVES)
    lines = render_terminal(found, verdict, width=90).splitlines()
    assert lines[3].startswith("> gguf-q4_k_m")
    assert len([line for line in lines[3:10] if line.startswith(("  ", "> "))]) == 7
    assert any("53.7 (-24.6)!" in line for line in lines)
    assert "? not proven within the margin  ! worse beyond the margin" in lines
    assert all(len(line) <= 90 for line in lines[11:])
    assert verdict.sentence in " ".join(lines)


def test_the_terminal_marks_what_is_missing_or_void() -> None:
    found = changed(only("bf16-vllm", "gguf-q8_0"), "gguf-q8_0", load=[], memory_bytes=None)
    found = changed(found, "bf16-vllm", saturated_client=True)
    text = render_terminal(found, decide(found, OBJECTIVES), width=90)
    assert "1.00*" in text
    assert "* void: the load generator itself was the limit" in text
    row = next(line for line in text.splitlines() if line.startswith("  gguf-q8_0"))
    assert row.split()[2:6] == ["-", "-", "-", "-"]


def test_an_emulated_variant_is_judged_by_its_quality_and_never_by_its_speed() -> None:
    found = changed(comparison(), "gguf-q4_k_m", engine="transformers", saturated_client=False)
    verdict = decide(found, OBJECTIVES)
    assert verdict.variant != "gguf-q4_k_m"
    passes, failed, undecided = ranked(verdict, "gguf-q4_k_m")
    assert (passes, failed) == (False, [])
    assert undecided == [
        "speed and memory: emulated; its quality counts, its speed and memory do not"
    ]
    assert next(r for r in verdict.ranking if r.variant == "gguf-q4_k_m").score is None
    assert "~ emulated: quality counts, speed does not" in render_terminal(found, verdict)


def test_without_speeds_the_variant_that_leaves_fewer_objectives_open_comes_first() -> None:
    found = comparison()
    for variant in found.variants:
        found = changed(found, variant.variant, engine="transformers", memory_bytes=1)
    small, large = (of(found, name) for name in ("gguf-q4_k_m", "gguf-q8_0"))
    assert small.weight_bytes < large.weight_bytes
    verdict = decide(found, OBJECTIVES)
    assert "throughput" not in verdict.sentence
    order = [entry.variant for entry in verdict.ranking]
    assert order.index(small.variant) < order.index(large.variant)
    kept = {t: r for t, r in small.quality.items() if t != "assay_choice"}
    doubted = changed(
        found, small.variant, quality=kept, refused_tasks={"assay_choice": "no answer"}
    )
    order = [entry.variant for entry in decide(doubted, OBJECTIVES).ranking]
    assert order.index(small.variant) > order.index(large.variant)


# What a neighbour leaves of the machine in each of six rounds, for whoever is measured in it.
LEFT = (1.0, 0.5, 0.95, 0.4, 1.0, 0.45)
JITTER = (1.01, 0.99, 1.0, 1.01, 0.98, 1.01)


def in_rounds(
    found: ComparisonFile, name: str, speed: float, at: str = "12:00", jitter: Any = (1.0,) * 6
) -> ComparisonFile:
    """A variant whose own intervals are as wide as the neighbour made its rounds differ."""
    rounds = tuple(
        RoundFigures(
            round=number,
            started_at=f"{at}:{number:02}",
            output_tok_per_s=64 * speed * left * shake,
            goodput_per_s=speed * left * shake,
            e2e_p50_s=1 / (speed * left * shake),
        )
        for number, (left, shake) in enumerate(zip(LEFT, jitter, strict=True))
    )
    wide = Estimate(value=speed * 0.7, low=speed * 0.4, high=speed)
    return with_load(found, name, goodput_per_s=wide, rounds=rounds)


def test_rounds_tell_apart_what_a_neighbour_made_overlap() -> None:
    found = in_rounds(in_rounds(comparison(), "gguf-q4_k_m", 20), "gguf-q8_0", 22, jitter=JITTER)
    assert decide(found, OBJECTIVES).variant == "gguf-q8_0"
    apart = in_rounds(found, "gguf-q8_0", 22, at="13:00", jitter=JITTER)
    assert decide(apart, OBJECTIVES).variant == "gguf-q4_k_m"


def test_rounds_do_not_tell_apart_what_is_the_same() -> None:
    found = in_rounds(in_rounds(comparison(), "gguf-q4_k_m", 20), "gguf-q8_0", 20.1, jitter=JITTER)
    assert decide(found, OBJECTIVES).variant == "gguf-q4_k_m"


def test_latency_is_told_apart_by_rounds_too() -> None:
    quick = OBJECTIVES.model_copy(update={"prefer": "latency"})
    found = in_rounds(in_rounds(comparison(), "gguf-q4_k_m", 20), "gguf-q8_0", 22, jitter=JITTER)
    for name, seconds in (("gguf-q4_k_m", 1.0), ("gguf-q8_0", 0.9)):
        found = with_load(found, name, e2e_s={"p50": Estimate(value=seconds, low=0.1, high=2)})
    verdict = decide(found, quick)
    passing = [r.variant for r in verdict.ranking if r.passes]
    assert passing.index("gguf-q8_0") < passing.index("gguf-q4_k_m")


def test_a_disturbed_run_enters_no_verdict_and_says_why() -> None:
    why = "other programs used up to 38 % of the processors in 5 of 18 legs (10 % are allowed)"
    verdict = decide(changed(comparison(), "gguf-q4_k_m", void=[why]), OBJECTIVES)
    assert verdict.variant == "gguf-q8_0"
    assert ranked(verdict, "gguf-q4_k_m")[2] == [f"speed: void, {why}"]


def test_a_load_that_was_not_steady_enters_no_verdict() -> None:
    found = with_load(comparison(), "gguf-q4_k_m", settling=Estimate(value=1.2, low=1.1, high=1.3))
    verdict = decide(found, OBJECTIVES)
    assert ranked(verdict, "gguf-q4_k_m")[2] == [
        "speed: void, not steady at 16 streams: the later half of a round's requests takes 1.2x "
        "(1.10 to 1.30) as long as the earlier; a longer load.warmup_s would mend it"
    ]


@pytest.mark.parametrize(("tokens", "is_judged"), [(58.0, True), (41.0, False), (70.0, False)])
def test_whose_answers_end_sooner_or_later_is_not_judged_by_speed(
    tokens: float, is_judged: bool
) -> None:
    found = comparison()
    for name, length in (("bf16-vllm", 60.0), ("gguf-q4_k_m", tokens)):
        answers = Answers(tokens=Estimate(value=length), ended_share=1.0)
        found = with_load(found, name, answers=answers)
    passes, _, undecided = ranked(decide(found, OBJECTIVES), "gguf-q4_k_m")
    assert passes == is_judged
    if not is_judged:
        assert undecided == [
            f"speed: answers at 16 streams have {tokens:.0f} tokens where those of bf16-vllm have "
            "60: what says less is done sooner; without load.natural_length it would be told"
        ]


def test_it_is_told_which_variants_did_not_take_turns_with_the_baseline() -> None:
    found = in_rounds(in_rounds(comparison(), "bf16-vllm", 8), "gguf-q8_0", 20, at="13:00")
    assert any(
        caveat.startswith("gguf-q8_0: not load-tested in turns with bf16-vllm")
        for caveat in decide(found, OBJECTIVES).caveats
    )
    turned = with_load(found, "gguf-q8_0", paired=True)
    assert not any("in turns" in caveat for caveat in decide(turned, OBJECTIVES).caveats)


def test_the_terminal_tells_how_speeds_varied_and_what_turns_save() -> None:
    noise = Noise(within=0.01, between=0.21, paired=0.017, gain=20.0)
    found = in_rounds(comparison(), "gguf-q8_0", 20)
    assert "rounds:" not in render_terminal(found, decide(found, OBJECTIVES), width=90)
    noisy = with_load(found, "gguf-q8_0", noise=noise)
    text = render_terminal(noisy, decide(noisy, OBJECTIVES), width=90)
    assert (
        "6 rounds: throughput varied by 21.0 %, its ratio to the baseline by 1.7 %; "
        "turns save 95 % of the time\n" in text
    )


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert amount("accuracy", -0.0001) == "0.0 points"
    assert amount("accuracy", -0.001) == "-0.1 points"
    assert amount("nats", -0.0001) == "0.000 nats per token"
