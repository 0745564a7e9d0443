"""The recipes of GPTQModel on small random models, all in one process of the tool.

covers: quantize/by_gptqmodel/gptqmodel_job.py, quantize/by_gptqmodel/in_quantize/awq.py,
quantize/by_gptqmodel/in_quantize/awq_clip.py, quantize/by_gptqmodel/in_quantize/gptq.py,
quantize/by_gptqmodel/in_quantize/gptqmodel_proof.py,
quantize/by_gptqmodel/in_quantize/gptqmodel_ptq.py, quantize/by_gptqmodel/in_quantize/rtn.py,
quantize/calibration/in_quantize/calibration_tokens.py, quantize/method.py
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.artifact.weight_measures import WeightMeasures
from quantize.artifact_check import check_measures, measure_weights
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.tool import run_tool
from quantize.jobs.worker import Worker
from quantize.method import Outcome
from quantize.recipes.catalogue import RECIPES, find_recipe
from tests.quantize.method_run import run_method
from tests.quantize.tiny_model import EXPERTS, Family, make_tiny_model

PACKED = [name for name, recipe in RECIPES.items() if recipe.method in ("gptq", "awq", "rtn")]
FEW = ["rtn-int4-g32", "gptq-int4-g128", "awq-int4-g128"]


@dataclass(frozen=True)
class Made:
    """One artifact's folder, what the tool's process told, and the proof it wrote."""

    folder: Path
    outcome: Outcome
    proof: Path


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
) -> dict[Family, dict[str, Made]]:
    """Every recipe of the tiny Llama and some of the others, by family and recipe."""
    text = calibration_text
    with Worker() as worker:
        return {
            family: {
                name: _make(worker, model, tmp_path_factory.mktemp(f"{family}-{name}"), text, name)
                for name in (PACKED if family == "llama" else FEW)
            }
            for family, model in models.items()
        }


def _make(worker: Worker, model: Path, folder: Path, text: Path, recipe: str) -> Made:
    proof = folder / "proof.safetensors"
    output, outcome = run_method(
        worker, model, recipe, folder, text, sequence_length=128, proof=proof
    )
    return Made(output, outcome, proof)


def measured(made: Made, recipe: str) -> WeightMeasures:
    found = find_recipe(recipe)
    measures = measure_weights(made.folder, found)
    check_measures(made.folder, found, measures)
    return measures


@pytest.mark.engine
def test_every_recipe_makes_what_it_announces(
    made: dict[Family, dict[str, Made]], models: dict[Family, Path]
) -> None:
    assert len(made["llama"]) == 14
    for name, one in made["llama"].items():
        assert measured(one, name).parameter_count == 1_443_072
        assert (one.outcome.calibration_sha256 is not None) == RECIPES[name].calibrated
        assert one.outcome.peak_memory_bytes > 100e6
        assert str(one.folder.parent) not in (one.folder / "config.json").read_text()
        tokenizer = (one.folder / "tokenizer.model").read_bytes()
        assert tokenizer == (models["llama"] / "tokenizer.model").read_bytes()


@pytest.mark.engine
@pytest.mark.parametrize("family", ["qwen3", "qwen3-moe", "mixtral"])
def test_tied_embeddings_and_experts_go_through(
    made: dict[Family, dict[str, Made]], family: Family
) -> None:
    layers = 4 + 3 * (1 if family == "qwen3" else EXPERTS)
    for name, one in made[family].items():
        assert len(measured(one, name).linear_layers) == layers
        tied = json.loads((one.folder / "config.json").read_text())["tie_word_embeddings"]
        stored = read_safetensors(one.folder / "model.safetensors")
        assert any(tensor.name == "lm_head.weight" for tensor in stored) != tied


@pytest.mark.engine
def test_artifacts_decode_to_the_weights_that_the_tool_rounded(
    made: dict[Family, dict[str, Made]], tmp_path: Path
) -> None:
    pairs = {str(one.folder): str(one.proof) for each in made.values() for one in each.values()}
    request, log = tmp_path / "pairs.json", tmp_path / "log"
    request.write_text(json.dumps(pairs))
    python = environment_python("quantize")
    run_tool(
        [python, "-m", "tests.quantize.artifact.in_quantize.compare_proofs", request],
        log=log,
        variables=tool_variables(2),
    )
    found: dict[str, float] = json.loads(log.read_text().splitlines()[-1])
    for family, each in made.items():
        # The tool holds its rounded weights in bfloat16, and a difference of that size may send a
        # token of a random router to another expert.
        limit = 0.1 if family in ("qwen3-moe", "mixtral") else 0.02
        differences = [found[str(one.folder)] for one in each.values()]
        assert 0 < min(differences) < max(differences) < limit, (family, found)


@pytest.mark.engine
def test_the_fast_clip_search_finds_the_tools_own_bounds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    python = environment_python("quantize")
    run_tool(
        [python, "-m", "tests.quantize.by_gptqmodel.in_quantize.compare_clip_searches"],
        log=log,
        variables=tool_variables(2),
    )
    assert float(log.read_text().split()[-1]) > 0.99
