"""Every difference that no rounding caused is caught in real engines, with its own check left out.

What a tool reads otherwise is planted in the artifact or in the source that it is held against.

covers: services/engine/proof.py, services/engine/probe_questions.py, services/engine/agreement.py,
services/engine/difference.py, quantize/agreement/in_quantize/probe_job.py,
quantize/agreement/in_quantize/probe_text.py
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.agreement.probe import Probed
from quantize.artifact.weight_measures import measure_gguf, measure_safetensors
from services.engines.spec import Launch
from services.variants import find_variant
from tests.quantize.tiny_model import bfloat16_bits, make_tiny_model, write_safetensors
from tests.services.engine.planted import (
    brought_up,
    changed,
    converted,
    rounding_inputs,
    transformers_scores,
    with_other_weights,
)
from tests.services.engine.recorded import inputs_rounded

pytestmark = pytest.mark.engine

ROUNDS = pytest.mark.parametrize("rounds", [False, True])
WINDOW = 32
OTHER_END = 6
GGUF = find_variant("gguf-bf16")
VLLM = find_variant("bf16-vllm")
# How vLLM is told to take no defaults from the model's own files.
CHECKED_BY = "--generation-config"


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A model's folder, the GGUF made of it, and what transformers says of it and of others."""

    source: Path
    gguf: Path
    plain: Probed
    sliding: Probed
    read_otherwise: Probed


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    source = make_tiny_model(folder / "source")
    sliding = changed(
        source,
        folder / "sliding",
        "config.json",
        architectures=["MistralForCausalLM"],
        model_type="mistral",
        sliding_window=WINDOW,
    )
    other = changed(source, folder / "other", "generation_config.json", eos_token_id=[2, OTHER_END])
    template = json.loads((source / "tokenizer_config.json").read_text())["chat_template"]
    changed(
        source,
        folder / "other",
        "tokenizer_config.json",
        add_bos_token=False,
        chat_template=template.replace("': '", "' says '"),
    )
    (folder / "other" / "tokenizer.json").unlink(missing_ok=True)
    with transformers_scores(folder / "scores.log") as scores:
        return Planted(
            source=source,
            gguf=converted(source, folder / "gguf"),
            plain=scores(source),
            sliding=scores(sliding),
            read_otherwise=scores(other),
        )


async def told(
    artifact: Path, probed: Probed, folder: Path, *, rounds: bool = False
) -> Mapping[str, Any]:
    """Its state; where it ``rounds``, as if its format had inputs rounded to 8 bits."""
    measures = measure_gguf(artifact)
    if not rounds:
        return await brought_up(GGUF, artifact, measures, probed, folder)
    decoded = inputs_rounded(rounded=probed.source)
    return await brought_up(rounding_inputs(GGUF), artifact, measures, probed, folder, decoded)


@ROUNDS
async def test_what_differs_by_rounding_alone_is_served_with_its_figures(
    planted: Planted, tmp_path: Path, *, rounds: bool
) -> None:
    state = await told(planted.gguf, planted.plain, tmp_path, rounds=rounds)
    assert (state["state"], state["reason"]) == ("ready", None)
    assert state["agreement"]["state"] == "agrees"
    assert state["agreement"]["tokens"] > 800
    assert 0 < state["agreement"]["mean_nats"] < state["agreement"]["limit_nats"]


@ROUNDS
async def test_the_weights_of_another_file_are_caught(
    planted: Planted, tmp_path: Path, *, rounds: bool
) -> None:
    artifact = with_other_weights(planted.gguf, tmp_path / "gguf")
    state = await told(artifact, planted.plain, tmp_path, rounds=rounds)
    assert state["state"] == "failed"
    assert state["agreement"]["state"] == "differs"
    assert "other weights, biases or another output head" in state["reason"]


@ROUNDS
async def test_another_output_head_is_caught(
    planted: Planted, tmp_path: Path, *, rounds: bool
) -> None:
    artifact = with_other_weights(planted.gguf, tmp_path / "gguf", "output.weight")
    state = await told(artifact, planted.plain, tmp_path, rounds=rounds)
    assert state["state"] == "failed"
    assert "other weights, biases or another output head" in state["reason"]


@ROUNDS
async def test_biases_that_one_tool_reads_and_others_drop_are_caught(
    planted: Planted, tmp_path: Path, *, rounds: bool
) -> None:
    biased = changed(planted.source, tmp_path / "biased", "config.json", attention_bias=False)
    rng = np.random.default_rng(0)
    biases = {
        f"model.layers.{layer}.self_attn.{name}_proj.bias": (
            "BF16",
            bfloat16_bits(rng.normal(0, 1, rows).astype("<f4")),
        )
        for layer in range(2)
        for name, rows in (("q", 256), ("k", 128), ("v", 128))
    }
    write_safetensors(biased / "model-biases.safetensors", biases)
    state = await told(converted(biased, tmp_path / "gguf"), planted.plain, tmp_path, rounds=rounds)
    assert state["state"] == "failed"
    assert "other weights, biases or another output head" in state["reason"]


@ROUNDS
async def test_an_attention_window_that_is_not_kept_is_caught(
    planted: Planted, tmp_path: Path, *, rounds: bool
) -> None:
    state = await told(planted.gguf, planted.sliding, tmp_path, rounds=rounds)
    assert state["state"] == "failed"
    assert f"only beyond the model's attention window of {WINDOW} tokens" in state["reason"]


async def test_an_end_token_a_bos_and_a_template_of_its_own_are_caught(
    planted: Planted, tmp_path: Path
) -> None:
    state = await told(planted.gguf, planted.read_otherwise, tmp_path)
    assert state["state"] == "failed"
    reasons = " ".join(state["agreement"]["reasons"])
    assert f"token {OTHER_END} ends an answer by the model's own files" in reasons
    assert "it reads the text" in reasons
    assert "it renders a chat to" in reasons


async def test_16_bit_weights_under_a_quantized_recipe_are_refused_by_the_kernels_they_run_on(
    planted: Planted, tmp_path: Path
) -> None:
    """Their size is what the manifest promises here, so that only their kernels tell."""
    variant, measures = find_variant("gptq-int4-g128-vllm"), measure_safetensors(planted.source)
    state = await brought_up(variant, planted.source, measures, planted.plain, tmp_path)
    assert (state["state"], state["restarts"]) == ("failed", 0)
    assert "serves the gptq-int4-sym checkpoint unquantized: all 8 linear layers" in state["reason"]
    assert "run `make quantize`" in state["reason"]


async def test_defaults_that_one_engine_takes_from_the_model_are_caught(
    planted: Planted, tmp_path: Path
) -> None:
    artifact = changed(
        planted.source,
        tmp_path / "bf16",
        "generation_config.json",
        eos_token_id=2,
        repetition_penalty=1.3,
        temperature=0.1,
        top_k=1,
        max_new_tokens=5,
    )

    def unchecked(launch: Launch) -> list[str]:
        words = VLLM.engine.argv(launch)
        if CHECKED_BY in words:
            place = words.index(CHECKED_BY)
            del words[place : place + 2]
        return words

    variant = replace(VLLM, engine=replace(VLLM.engine, argv=unchecked))
    measures = measure_safetensors(artifact)
    state = await brought_up(variant, artifact, measures, planted.plain, tmp_path)
    assert state["state"] == "failed"
    reasons = " ".join(state["agreement"]["reasons"])
    assert "of a greedy answer is not the likeliest" in reasons
    assert "without sampling fields" in reasons
    assert "a chat without a limit ends after" in reasons
