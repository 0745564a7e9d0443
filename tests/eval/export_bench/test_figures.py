"""What the export benchmark concludes from scores: pure functions."""

import pytest

from eval.export_bench.__main__ import print_table, tool_figures
from eval.export_bench.comparison import ENGINE_LIMIT_NATS, engine_figure
from quantize.checkpoint.score_files import Distance, Scored, Scores
from services.variants import find_variant


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
def test_an_engine_must_agree_within_the_limit_on_average(
    shift: float, met: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [[-1.0 + shift, -2.0 - shift], [-3.0 + shift, -4.0 - shift]]
    figure = engine_figure(find_variant("gptq-int4-g128-vllm"), scored(None), found)
    assert figure.value == pytest.approx(shift)
    assert (figure.met, figure.limit) == (met, ENGINE_LIMIT_NATS)
    print_table([figure])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("gptq-int4-g128: vLLM against decoded")
    assert line.endswith("!") != met


def test_an_engine_that_only_shrinks_the_weights_is_held_against_kept_inputs() -> None:
    kept = scored(None).model_copy(update={"inputs_kept": [[-1.5, -2.5], [-3.5, -4.5]]})
    found = [[-1.5, -2.5], [-3.5, -4.5]]
    variant = find_variant("nvfp4-vllm")
    assert engine_figure(variant, kept, found, "weight-only").value == 0.0
    assert engine_figure(variant, kept, found).value == pytest.approx(0.5)
    assert "weights alone" in engine_figure(variant, kept, found, "weight-only").name
