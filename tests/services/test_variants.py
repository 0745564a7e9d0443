"""The tables of recipes, engines and variants, and the pure functions of the engine specs."""

import json
import re
from pathlib import Path

import pytest

import services
from quantize.manifest import ArtifactError, FileEntry, Manifest
from services.engines.spec import HeldWeights, Launch
from services.engines.table import ENGINES
from services.proof import prove_weights
from services.variants import VARIANTS, find_variant

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


def test_the_package_is_this_repository() -> None:
    assert services.__file__ is not None
    assert Path(services.__file__).parents[1] == Path(__file__).parents[2]


def test_variant_names_are_safe_in_urls_and_unique() -> None:
    assert len(set(VARIANTS)) == len(VARIANTS)
    for name in VARIANTS:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name)


def test_every_variants_engine_reads_its_recipes_format() -> None:
    for variant in VARIANTS.values():
        assert variant.recipe.weight_format in variant.engine.weight_formats


def test_an_unknown_variant_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'gguf-q4_k_m'"):
        find_variant("gguf-q4_km")


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_an_engine_listens_on_loopback_with_the_key_out_of_its_command_line(engine) -> None:  # type: ignore[no-untyped-def]
    argv = engine.argv(launch())
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--port") + 1] == "4321"
    assert "secret-key" not in argv
    assert "secret-key" in engine.env(launch()).values()


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
    vllm = {"results": [{"weight_bytes": 7, "kinds": {"UnquantizedLinearMethod": 2}}]}
    held = ENGINES["vllm"].parse_weights(json.dumps(vllm).encode())
    assert held == HeldWeights(weight_bytes=7, kinds={"UnquantizedLinearMethod": 2})
    llama = {"weight_bytes": 9, "description": "llama", "tensor_types": {"Q8_0": 3}}
    held = ENGINES["llamacpp"].parse_weights(json.dumps(llama).encode())
    assert held == HeldWeights(weight_bytes=9, kinds={"Q8_0": 3})
