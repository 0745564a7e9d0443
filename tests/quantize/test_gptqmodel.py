"""The recipes of GPTQModel on small random models, all in one process of the tool."""

import json
from pathlib import Path

import pytest

from quantize.artifact_check import check_artifact
from quantize.calibration import calibration_plan
from quantize.make import make_artifacts
from quantize.order import Order
from quantize.recipes import RECIPES
from quantize.safetensors_header import read_safetensors
from quantize.source_model import fingerprint
from quantize.tool_process import environment_python, run_tool
from tests.quantize.tiny_model import EXPERTS, Family, make_tiny_model

PACKED = [name for name, recipe in RECIPES.items() if recipe.method in ("gptq", "awq", "rtn")]
FEW = ["rtn-int4-g32", "gptq-int4-g128", "awq-int4-g128"]


Made = dict[Family, dict[str, Path]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[Family, Path]:
    folder = tmp_path_factory.mktemp("families")
    others: tuple[Family, ...] = ("qwen3", "qwen3-moe", "mixtral")
    made: dict[Family, Path] = {
        family: make_tiny_model(folder / family, family=family, layers=1) for family in others
    }
    return {"llama": tiny, **made}


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, models: dict[Family, Path], calibration_text: Path
) -> Made:
    """Every recipe of the tiny Llama and some of the others; each with its proof."""
    return {
        family: _make(
            model,
            tmp_path_factory.mktemp(family),
            calibration_text,
            PACKED if family == "llama" else FEW,
        )
        for family, model in models.items()
    }


def _make(model: Path, folder: Path, text: Path, names: list[str]) -> dict[str, Path]:
    order = Order(
        model=fingerprint(str(model)),
        recipe_names=tuple(names),
        calibration=calibration_plan(str(text), samples=8, sequence_length=128),
        artifacts=folder,
        threads=2,
        proofs=folder / "proofs",
    )
    return dict(zip(names, make_artifacts(order, lambda _: None), strict=True))


@pytest.mark.engine
def test_every_recipe_makes_what_it_announces(made: Made, models: dict[Family, Path]) -> None:
    assert len(made["llama"]) == 13
    for name, artifact in made["llama"].items():
        manifest = check_artifact(artifact)
        assert manifest.parameter_count == 1_443_072
        assert manifest.tool == "gptqmodel"
        assert (manifest.calibration_sha256 is not None) == RECIPES[name].calibrated
        assert manifest.peak_memory_bytes > 100e6
        assert str(artifact.parent.parent) not in (artifact / "config.json").read_text()
        tokenizer = (artifact / "tokenizer.model").read_bytes()
        assert tokenizer == (models["llama"] / "tokenizer.model").read_bytes()


@pytest.mark.engine
@pytest.mark.parametrize("family", ["qwen3", "qwen3-moe", "mixtral"])
def test_tied_embeddings_and_experts_go_through(made: Made, family: Family) -> None:
    layers = 4 + 3 * (1 if family == "qwen3" else EXPERTS)
    for artifact in made[family].values():
        check_artifact(artifact)
        stored = read_safetensors(artifact / "model.safetensors")
        assert sum(tensor.name.endswith(".qweight") for tensor in stored) == layers
        tied = json.loads((artifact / "config.json").read_text())["tie_word_embeddings"]
        assert any(tensor.name == "lm_head.weight" for tensor in stored) != tied


@pytest.mark.engine
def test_artifacts_decode_to_the_weights_that_the_tool_rounded(made: Made, tmp_path: Path) -> None:
    pairs = {
        str(artifact): str(artifact.parent.parent / "proofs" / f"{name}.safetensors")
        for artifacts in made.values()
        for name, artifact in artifacts.items()
    }
    request, log = tmp_path / "pairs.json", tmp_path / "log"
    request.write_text(json.dumps(pairs))
    python = environment_python("quantize")
    run_tool([python, "-m", "tests.quantize.compare_proofs", request], log=log, threads=2)
    found: dict[str, float] = json.loads(log.read_text().splitlines()[-1])
    for family, artifacts in made.items():
        # The tool holds its rounded weights in bfloat16, and a difference of that size may send a
        # token of a random router to another expert.
        limit = 0.1 if family in ("qwen3-moe", "mixtral") else 0.02
        differences = [found[str(artifact)] for artifact in artifacts.values()]
        assert 0 < min(differences) < max(differences) < limit, (family, found)
