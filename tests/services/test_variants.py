"""The tables of recipes, engines and variants, and the pure functions of the engine specs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from quantize.artifact.manifest import ArtifactError, FileEntry, Manifest
from quantize.formats.engine_support import DEVICES
from quantize.formats.published_formats import EVERY_FORMAT
from quantize.formats.storage_formats import FORMATS
from quantize.machine import Machine
from services.engine.agreement import BY_OPTION, PLAIN, ROUNDED, TIMES_MOVED
from services.engine.proof import limits_of, prove_weights, rounds_inputs
from services.engines.kernels import Kernels
from services.engines.spec import HeldWeights, Launch
from services.engines.table import ENGINES
from services.variants import VARIANTS, find_variant, published_variants, refusal

MANIFEST = Manifest(
    model="reference",
    model_sha256="0" * 64,
    recipe="gptq-int4-g128",
    parameters={},
    weight_format="safetensors",
    tool="gptqmodel",
    tool_version="1",
    calibration_sha256=None,
    inputs_sha256="0" * 64,
    parameter_count=23_000_000,
    quantized_parameters=19_000_000,
    weight_bytes=18_000_000,
    quantized_weight_bytes=10_000_000,
    bits_per_weight=4.2,
    tensor_types={},
    seconds=1,
    peak_memory_bytes=1,
    files=(FileEntry(path="model.safetensors", size_bytes=1, sha256="0" * 64),),
)


def launch(port: int = 4321) -> Launch:
    return Launch(
        python=Path("python"),
        artifact=Path("artifact"),
        manifest=MANIFEST,
        served_name="some-variant",
        port=port,
        api_key="secret-key",
        context_length=512,
        max_sequences=4,
        threads=2,
        kv_cache_gib=0.5,
    )


def test_variant_names_are_safe_in_urls_and_unique() -> None:
    assert len(set(VARIANTS)) == len(VARIANTS)
    for name in VARIANTS:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name)


def test_every_variants_engine_loads_its_recipes_checkpoint_somewhere() -> None:
    for variant in VARIANTS.values():
        assert variant.engine.checkpoints[variant.recipe.format.name]


def test_the_engines_that_rows_of_the_table_name_are_those_there_are() -> None:
    named = {name for row in EVERY_FORMAT.values() for name in row.engines}
    assert named == set(ENGINES), "a row of storage_formats.py names another engine than ENGINES"
    for name, engine in ENGINES.items():
        every = EVERY_FORMAT.values()
        rows = {row.name: row.engines[name] for row in every if name in row.engines}
        assert engine.checkpoints == rows, name


def test_every_checkpoint_format_has_an_engine_on_any_machine() -> None:
    for checkpoint in FORMATS:
        devices = [spec.checkpoints.get(checkpoint, {}) for spec in ENGINES.values()]
        assert all(any(device in found for found in devices) for device in DEVICES), checkpoint


def test_a_variant_may_choose_the_type_of_its_key_value_cache() -> None:
    variant = find_variant("fp8-kv-vllm-kv-fp8_e5m2")
    assert (variant.recipe.name, variant.engine.name) == ("fp8-kv", "vllm")
    assert variant.kv_cache == "fp8_e5m2"
    assert find_variant("fp8-kv-vllm").kv_cache is None
    argv = variant.engine.argv(replace(launch(), kv_cache_dtype=variant.kv_cache))
    assert argv[argv.index("--kv-cache-dtype") + 1] == "fp8_e5m2"
    assert "--kv-cache-dtype" not in variant.engine.argv(launch())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bf16-vllm-kv-f16", "no key-value cache of type 'f16' .*valid: fp8"),
        ("bf16-vllm-engine", "vLLM has no engine to build"),
        ("fp8-trtllm-engine-int8", "int8 rounds 16-bit weights, fp8 has none"),
        ("fp8-trtllm-engine-kv-fp8", "cache has the type of its checkpoint"),
        ("int4-awq-vllm", "vLLM does not load modelopt-int4-awq .*int4-awq-transformers"),
        ("nvfp4-vlm", "did you mean 'nvfp4-vllm'"),
    ],
)
def test_what_an_engine_does_not_have_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_variant(name)


def test_any_bits_budget_is_a_variant() -> None:
    assert find_variant("auto-5.5-vllm").recipe.name == "auto-5.5"


def test_what_the_machine_cannot_run_is_refused_with_what_can() -> None:
    cpu = Machine(device="cpu", name="CPU")
    reason = refusal(find_variant("nvfp4-vllm"), "cpu", cpu)
    assert reason is not None
    assert "needs an NVIDIA GPU" in reason
    assert "nvfp4-transformers measures its quality here" in reason
    assert refusal(find_variant("nvfp4-transformers"), "cpu", cpu) is None


def test_a_cpu_build_on_a_gpu_machine_is_named_as_the_reason() -> None:
    hopper = Machine(device="hopper", name="NVIDIA H200")
    assert refusal(find_variant("nvfp4-vllm"), "hopper", hopper) is None
    reason = refusal(find_variant("nvfp4-vllm"), "cpu", hopper)
    assert reason is not None
    assert "installed as a CPU build" in reason


def test_a_cache_type_that_the_device_lacks_is_refused_with_those_it_has() -> None:
    reason = refusal(find_variant("bf16-vllm-kv-nvfp4"), "cpu", Machine(device="cpu", name="CPU"))
    assert reason is not None
    assert "here it can be: fp8," in reason


def test_a_cpu_serves_fp8_with_a_scale_per_row_but_not_with_static_ones() -> None:
    assert find_variant("fp8-per-channel-vllm").arithmetic_on("cpu") == "native"
    assert find_variant("fp8-vllm").arithmetic_on("cpu") is None


def test_fp4_before_blackwell_is_known_to_be_weight_only() -> None:
    variant = find_variant("nvfp4-vllm")
    assert variant.arithmetic_on("hopper") == "weight-only"
    assert variant.arithmetic_on("blackwell") == "native"
    assert variant.arithmetic_on("cpu") is None


def test_an_unknown_variant_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'gguf-q4_k_m'"):
        find_variant("gguf-q4_km")


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_an_engine_listens_on_loopback_with_the_key_out_of_its_command_line(engine) -> None:  # type: ignore[no-untyped-def]
    argv = engine.argv(launch())
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--port") + 1] == "4321"
    assert "secret-key" not in argv
    assert ("secret-key" in engine.env(launch()).values()) is engine.takes_key


def test_an_engine_that_holds_unquantized_weights_under_an_int4_manifest_is_caught() -> None:
    held = HeldWeights(weight_bytes=46_000_000, kinds={"UnquantizedLinearMethod": 24})
    for engine in ENGINES.values():
        with pytest.raises(ArtifactError, match="UnquantizedLinearMethod"):
            prove_weights(engine, MANIFEST, held)


def test_an_engine_that_holds_what_the_manifest_promises_passes() -> None:
    held = HeldWeights(weight_bytes=18_000_000, kinds={"Q4_K": 42})
    for engine in ENGINES.values():
        prove_weights(engine, MANIFEST, held)


def test_the_engines_weight_reports_are_read() -> None:
    kinds, kernels = {"UnquantizedLinearMethod": 2}, {"device": "cpu"}
    worker = {"weight_bytes": 7, "kinds": kinds, "kernels": kernels}
    held = ENGINES["vllm"].parse_weights(json.dumps({"results": [worker, worker]}).encode())
    assert held == HeldWeights(weight_bytes=14, kinds=kinds, kernels=Kernels(device="cpu"))
    llama = {"weight_bytes": 9, "description": "llama", "tensor_types": {"Q8_0": 3}}
    held = ENGINES["llamacpp"].parse_weights(json.dumps(llama).encode())
    assert held == HeldWeights(weight_bytes=9, kinds={"Q8_0": 3})


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("bf16-vllm", PLAIN),
        ("gguf-bf16", PLAIN),
        ("gptq-int4-g128-vllm", PLAIN),
        ("gguf-q8_0", ROUNDED),
        ("int8-w8a8-vllm", replace(ROUNDED, times_moved=TIMES_MOVED)),
        ("fp8-transformers", replace(ROUNDED, times_moved=TIMES_MOVED)),
        ("fp8-vllm-kv-fp8", replace(BY_OPTION, times_moved=TIMES_MOVED)),
        ("nvfp4-vllm", ROUNDED),
        ("mxfp4-vllm", ROUNDED),
        ("gguf-q8_0-kv-q4_0", BY_OPTION),
    ],
)
def test_what_an_engine_rounds_beside_the_weights_decides_how_far_it_may_be_off(
    name: str, limits: object
) -> None:
    assert limits_of(find_variant(name)) == limits


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("gguf-q5_k_m", True),
        ("gguf-bf16", False),
        ("gptq-int4-g64-vllm", False),
        ("fp8-transformers", True),
    ],
)
def test_the_self_test_bears_what_llamacpp_rounds_of_quantized_layers(
    name: str, rounds: bool
) -> None:
    assert rounds_inputs(find_variant(name)) is rounds


@pytest.mark.parametrize(
    ("form", "variants"),
    [
        ("awq-int4", ["native-awq-int4-vllm", "native-awq-int4-transformers"]),
        ("gguf-mostly-q4_k", ["native-gguf-mostly-q4_k"]),
        ("gpt-oss-mxfp4", ["native-gpt-oss-mxfp4-vllm"]),
    ],
)
def test_a_published_format_has_a_variant_on_every_engine_that_loads_it(
    form: str, variants: list[str]
) -> None:
    assert published_variants(form) == variants
    assert [find_variant(name).name for name in variants] == variants
    assert find_variant(variants[0]).recipe.format.name == form


def test_a_published_variant_has_options_and_an_unknown_one_is_refused_with_the_formats() -> None:
    variant = find_variant("native-awq-int4-vllm-kv-fp8")
    assert (variant.recipe.name, variant.kv_cache) == ("native-awq-int4", "fp8")
    assert find_variant("native-gguf-mostly-q4_k-llamacpp").name == "native-gguf-mostly-q4_k"
    with pytest.raises(ValueError, match=r"native-<format>-<engine> .*gpt-oss-mxfp4"):
        find_variant("native-nonsense-vllm")
