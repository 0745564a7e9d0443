"""All variants are served together, or each alone between two starts of the baseline."""

from deploy.plan import load_plan
from eval.turns import Turn, quality_passes, turns

PLAN = load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k")


def test_the_two_passes_of_the_baseline_enclose_the_others() -> None:
    assert quality_passes(("a", "base", "b"), "base") == (
        ("base", False),
        ("a", False),
        ("b", False),
        ("base", True),
    )


def test_together_everything_is_one_turn() -> None:
    (turn,) = turns(PLAN, alone=False)
    assert turn.variants == PLAN.variants
    assert turn.load
    assert turn.passes[0] == ("bf16-vllm", False)
    assert turn.passes[-1] == ("bf16-vllm", True)


def test_alone_each_has_its_turn_and_only_the_repeat_is_not_loaded() -> None:
    found = turns(PLAN, alone=True)
    assert [turn.variants for turn in found] == [
        ("bf16-vllm",),
        ("gguf-q8_0",),
        ("gguf-q2_k",),
        ("bf16-vllm",),
    ]
    assert [turn.load for turn in found] == [True, True, True, False]
    assert found[-1] == Turn(variants=("bf16-vllm",), load=False, passes=(("bf16-vllm", True),))
