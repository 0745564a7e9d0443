"""The planner's bytes are those of real files, and its answer changes where theory says so.

covers: quantize/sizing/capacity_table.py, quantize/sizing/estimate.py,
quantize/sizing/gguf_mix.py, quantize/sizing/weight_bytes.py
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.artifacts import ARTIFACTS_DIR
from deploy.plan import Plan
from quantize.recipes.catalogue import RECIPES, find_recipe
from quantize.root import ROOT
from quantize.sizing.capacity import DEVICES, GIB, Placement, cache_bytes, fit, need
from quantize.sizing.capacity_table import capacity_report, parse_memory
from quantize.sizing.estimate import earlier_manifests
from quantize.sizing.weight_bytes import bits_per_weight, weight_bytes
from quantize.source.model_shape import read_shape
from quantize.source.source_model import REFERENCE, REFERENCE_WEIGHTS
from tests.quantize.made import make
from tests.quantize.published import as_int8
from tests.quantize.source.test_model_shape import LLAMA_8B, MISTRAL_7B, MIXTRAL

SHAPE = read_shape(LLAMA_8B)


def reference_shape() -> Any:
    return read_shape(json.loads((REFERENCE_WEIGHTS / "config.json").read_text()))


def test_the_reference_models_own_file_has_the_planned_size(tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": "words " * 2000}))
    make(REFERENCE_WEIGHTS, tmp_path / "artifacts", text, "bf16")
    (made,) = earlier_manifests(tmp_path / "artifacts")
    assert made.parameter_count == reference_shape().parameters
    assert made.weight_bytes == weight_bytes(reference_shape(), find_recipe("bf16"))


@pytest.mark.engine
def test_real_artifacts_have_the_planned_sizes(plan: Plan, service: str) -> None:
    recipes = {variant.recipe.name for variant in plan.resolved_variants()}
    shape = reference_shape()
    made = {
        manifest.recipe: manifest
        for manifest in earlier_manifests(ARTIFACTS_DIR)
        if manifest.model == REFERENCE
    }
    assert recipes <= set(made)
    for manifest in made.values():
        recipe = find_recipe(manifest.recipe)
        assert manifest.parameter_count == shape.parameters
        assert weight_bytes(shape, recipe) == pytest.approx(manifest.weight_bytes, rel=0.001)


# Sizes of published files of Llama-3.1-8B, bytes of tensors to three digits.
@pytest.mark.parametrize(
    ("recipe", "gigabytes"),
    [
        ("gguf-q8_0", 8.54),
        ("gguf-q6_k", 6.60),
        ("gguf-q5_k_m", 5.73),
        ("gguf-q4_k_m", 4.92),
        ("gguf-q3_k_m", 4.02),
        ("gguf-q2_k", 3.18),
        ("gguf-iq4_xs", 4.45),
    ],
)
def test_gguf_mixes_have_the_sizes_of_published_files(recipe: str, gigabytes: float) -> None:
    assert weight_bytes(SHAPE, find_recipe(recipe)) / 1e9 == pytest.approx(gigabytes, rel=0.01)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipes_planned_bits_lie_where_its_artifacts_must(recipe: Any) -> None:
    low, high = recipe.effective_bits
    assert low * 0.999 <= bits_per_weight(SHAPE, recipe) <= high * 1.001


def test_two_hundred_billion_parameters_in_nvfp4_are_a_hundred_gigabytes_and_scales() -> None:
    wide = read_shape(
        {
            **LLAMA_8B,
            "hidden_size": 12288,
            "num_hidden_layers": 84,
            "num_attention_heads": 96,
            "intermediate_size": 54784,
        }
    )
    assert wide.parameters == pytest.approx(200e9, rel=0.03)
    size = weight_bytes(wide, find_recipe("nvfp4"))
    assert size == pytest.approx(wide.parameters / 2 * 1.125, rel=0.06)
    spark = next(device for device in DEVICES if device.name == "DGX Spark")
    assert size < spark.memory_bytes


def test_a_token_of_llama_8b_takes_128_kib_of_cache_and_a_window_ends_it() -> None:
    assert cache_bytes(SHAPE, 1, 2) == 128 * 1024
    assert cache_bytes(SHAPE, 8192, 2) == GIB
    windowed = read_shape(MISTRAL_7B)
    assert cache_bytes(windowed, 32768, 2) == cache_bytes(windowed, 4096, 2)


def test_an_fp8_cache_holds_twice_the_sequences() -> None:
    device = Placement(name="card", memory_bytes=32 * GIB)
    plain = fit(SHAPE, find_recipe("fp8"), device, context=8192, concurrency=4)
    small = fit(SHAPE, find_recipe("fp8-kv"), device, context=8192, concurrency=4)
    assert small.concurrency == pytest.approx(2 * plain.concurrency, abs=2)
    assert small.context == pytest.approx(2 * plain.context, rel=0.01)


def test_what_is_said_to_fit_fits_and_one_more_does_not() -> None:
    recipe, device = find_recipe("bf16"), Placement(name="card", memory_bytes=24 * GIB)
    most = fit(SHAPE, recipe, device, context=2048, concurrency=1).concurrency
    assert most > 0
    fits = need(SHAPE, recipe, context=2048, concurrency=most).total_bytes
    more = need(SHAPE, recipe, context=2048, concurrency=most + 1).total_bytes
    assert fits <= device.usable_bytes < more
    longest = fit(SHAPE, recipe, device, context=2048, concurrency=4).context
    fits = need(SHAPE, recipe, context=longest, concurrency=4).total_bytes
    more = need(SHAPE, recipe, context=longest + 1, concurrency=4).total_bytes
    assert fits <= device.usable_bytes < more


def test_weights_that_do_not_fit_leave_room_for_nothing() -> None:
    device = Placement(name="card", memory_bytes=24 * GIB)
    found = fit(read_shape(MIXTRAL), find_recipe("bf16"), device, context=2048, concurrency=1)
    assert (found.concurrency, found.context) == (0, 0)


def test_the_system_keeps_its_share_of_a_shared_memory() -> None:
    own = Placement(name="own", memory_bytes=128 * 10**9)
    shared = Placement(name="shared", memory_bytes=128 * 10**9, shared=True)
    assert shared.usable_bytes < own.usable_bytes - 7 * GIB


@pytest.mark.parametrize(
    ("text", "size"), [("128GiB", 128 << 30), ("80 GB", 80 * 10**9), ("0.5tib", 1 << 39)]
)
def test_a_memory_is_written_with_its_unit(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["128", "GiB", "-1GiB", "0GB", "12 apples"])
def test_a_memory_without_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_memory(text)


def test_the_table_answers_from_a_configuration_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_8B))
    text = capacity_report(
        str(path), memory="24GiB", context=8192, concurrency=2, recipes=["bf16", "nvfp4"]
    )
    assert "8.030 B parameters" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert rows["bf16"][1:3] == ["16.00", "14.96"]
    assert rows["nvfp4"][1:3] == ["4.50", "5.61"]


def test_a_configuration_is_read_as_recipes_read_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_8B | {"architectures": None, "model_type": "llama"}))
    text = capacity_report(str(path), memory="24GiB", context=8192, concurrency=2, recipes=["bf16"])
    assert "8.030 B parameters" in text


def test_recipes_that_one_width_leaves_out_are_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_8B | {"intermediate_size": 14_368}))
    recipes = ["gptq-int4-g64", "awq-int4-g64", "gptq-int4-g128", "fp8"]
    text = capacity_report(str(path), memory="80GiB", context=512, concurrency=1, recipes=recipes)
    left_out = text.split("Left out:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(": ")[0] for line in left_out] == [
        *("gptq-int4-g64, awq-int4-g64", "gptq-int4-g128")
    ]


def test_a_window_that_llamacpp_does_not_keep_ends_what_its_files_are_offered_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MISTRAL_7B | {"max_position_embeddings": 32_768}))

    def table(context: int) -> str:
        recipes = ["bf16", "gguf-q8_0"]
        return capacity_report(
            str(path), memory="80GiB", context=context, concurrency=1, recipes=recipes
        )

    rows = {line.split()[0]: line.split() for line in table(4096).splitlines() if line}
    assert (rows["bf16"][-1], rows["gguf-q8_0"][-1]) == ("32k", "4k")
    beyond = table(4097)
    assert "gguf-q8_0: the model has a sliding window of 4096 tokens" in beyond
    assert [line.split()[0] for line in beyond.splitlines() if "| 32k" in line] == ["bf16"]


def test_a_model_that_ends_before_the_usual_context_is_planned_for_its_own(tiny: Path) -> None:
    text = capacity_report(str(tiny), memory="24GiB", context=None, concurrency=16, recipes=["fp8"])
    assert "16 x 1,024 tokens" in text


def test_a_published_checkpoint_counts_as_it_is_stored_and_recipes_are_left_out(
    tiny: Path, tmp_path: Path
) -> None:
    folder = as_int8(tiny, tmp_path / "int8")
    text = capacity_report(
        str(folder), memory="24GiB", context=512, concurrency=2, recipes=["bf16", "gguf-q8_0"]
    )
    row = next(line.split() for line in text.splitlines() if line.startswith("native-"))
    assert row[0] == "native-compressed-int8"
    assert 8 < float(row[1]) < 8.3
    assert "bf16, gguf-q8_0: the model is quantized already" in text


def test_an_architecture_that_recipes_do_not_know_counts_as_it_is_served_or_is_refused(
    tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "foreign"
    shutil.copytree(tiny, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["FooForCausalLM"], "model_type": "foo"}
    (folder / "config.json").write_text(json.dumps(config))
    asked: dict[str, Any] = {"memory": "24GiB", "context": 512, "concurrency": 2}
    text = capacity_report(str(folder), **asked, recipes=["bf16", "gguf-q8_0"])
    assert [line.split()[0] for line in text.splitlines() if "24GiB" in line] == ["recipe"]
    assert "native-bf16" in text
    assert "bf16, gguf-q8_0: FooForCausalLM is not supported (supported: Llama" in text
    with pytest.raises(ValueError, match=r"recipes know no FooForCausalLM.*give the folder"):
        capacity_report(str(folder / "config.json"), **asked, recipes=["bf16"])
    with pytest.raises(ValueError, match=r"foreign: nobody serves bf16 of FooForCausalLM"):
        capacity_report(
            str(folder),
            **asked,
            recipes=["bf16"],
            why_unserved=lambda form, it: f"nobody serves {form} of {it['architectures'][0]}",
        )


@pytest.mark.parametrize(
    ("model", "context", "message"),
    [
        ("/no/such/folder", 2048, "no folder with a config.json"),
        (str(ROOT / "README.md"), 2048, r"give the model's folder, or its config\.json"),
        (REFERENCE, 4096, "--context 4096: the model has 2048 positions"),
    ],
)
def test_what_cannot_be_planned_is_refused(model: str, context: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        capacity_report(model, memory=None, context=context, concurrency=1, recipes=["bf16"])
