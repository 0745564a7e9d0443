"""What the export benchmark concludes from scores: pure functions.

covers: tests/benches/export/*.py
"""

import pytest

from quantize.emulation.score_messages import Distance, KeptScored, Scored, Scores
from services.variants import find_variant
from tests.benches.export.__main__ import tool_figures
from tests.benches.export.score_comparison import ENGINE_LIMIT_NATS, engine_figures
from tests.benches.harness.bench_table import figures_table


def away(nats: float) -> Distance:
    return Distance(mean_nats=nats, largest_nats=2 * nats, logit_rms=nats, reference_rms=1.0)


def scored(to_tool: float | None, bf16: float = 0.01) -> Scored:
    return Scored(
        logprobs=[[-1.0, -2.0], [-3.0, -4.0]],
        to_tool=None if to_tool is None else away(to_tool),
        bf16_rounding=away(bf16),
    )


def test_an_artifact_must_be_as_near_to_its_tools_model_as_bfloat16_is_to_itself() -> None:
    scores = Scores(
        ids=[[1, 2, 3], [1, 2, 3]],
        scored={"nvfp4": scored(0.0), "fp8": scored(0.02), "bf16": scored(None)},
    )
    exact, off = tool_figures(scores)
    assert (exact.met, exact.value, exact.limit) == (True, 0.0, 0.01)
    assert off.met is False
    assert off.ratio == pytest.approx(2.0)


@pytest.mark.parametrize(("shift", "met"), [(0.01, True), (0.03, False)])
def test_an_engine_must_agree_within_the_limit_on_average(shift: float, met: bool) -> None:
    found = [[-1.0 + shift, -2.0 + shift], [-3.0 + shift, -4.0 + shift]]
    figures = engine_figures(find_variant("gptq-int4-g128-vllm"), scored(None), found)
    for figure in figures:
        assert figure.value == pytest.approx(shift)
        assert (figure.met, figure.limit) == (met, ENGINE_LIMIT_NATS)
    for line in figures_table(figures).splitlines()[1:]:
        assert line.startswith("gptq-int4-g128: vLLM against decoded")
        assert line.endswith("NOT MET") != met


def test_single_tokens_may_differ_by_what_rounding_to_bfloat16_moves_but_a_text_may_not() -> None:
    found = [[-1.0 + 0.06, -2.0 - 0.06], [-3.0 + 0.06, -4.0 - 0.06]]
    variant = find_variant("fp8-vllm")
    text, tokens = engine_figures(variant, scored(None, bf16=0.05), found)
    assert text.value == pytest.approx(0.0)
    assert tokens.value == pytest.approx(0.06)
    assert text.met
    assert tokens.met
    assert engine_figures(variant, scored(None, bf16=0.03), found)[1].met is False


def test_llama_cpp_may_differ_by_what_its_own_rounding_of_inputs_moves() -> None:
    found = [[-1.0 + 0.06, -2.0 - 0.06], [-3.0 + 0.06, -4.0 - 0.06]]
    decoded = scored(None, bf16=0.01)
    for rounding, met in ((0.05, True), (0.03, False)):
        allowed = decoded.model_copy(update={"engine_rounding": away(rounding)})
        figure = engine_figures(find_variant("gguf-q4_k_m"), allowed, found)[1]
        assert figure.limit == pytest.approx(1.5 * rounding)
        assert figure.met is met


def test_an_engine_that_only_shrinks_the_weights_is_held_against_kept_inputs() -> None:
    kept = KeptScored(logprobs=[[-1.5, -2.5], [-3.5, -4.5]], bf16_rounding=away(0.001))
    found = [[-1.5, -2.5], [-3.5, -4.5]]
    variant = find_variant("nvfp4-vllm")
    held = engine_figures(variant, scored(None).model_copy(update={"inputs_kept": kept}), found)
    assert [figure.value for figure in held] == [0.0, 0.0]
    assert all("inputs kept" in figure.name for figure in held)
    assert engine_figures(variant, scored(None), found)[0].value == pytest.approx(0.5)
