"""Making artifacts, scoring them decoded, and asking real engines for the same tokens' scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.artifacts import ARTIFACTS_DIR
from deploy.machine_check import engine_device
from eval.export_bench.engine_scores import engine_scores
from quantize.artifact_paths import artifact_directory
from quantize.bench_figures import Figure
from quantize.calibration import BUNDLED, calibration_plan
from quantize.checkpoint.score_files import ArtifactToScore, Scored, ScoreRequest, Scores
from quantize.machine import probe_machine
from quantize.make import make_artifacts
from quantize.methods import METHODS
from quantize.order import Order
from quantize.progress import ProgressLine
from quantize.recipes import Recipe
from quantize.source_model import SourceModel
from quantize.tool_process import environment_python, run_tool
from services.engines.support import Arithmetic
from services.variants import VARIANTS, Variant

ENGINE_LIMIT_NATS = 0.02
SCORED_SEQUENCES, SCORED_TOKENS = 8, 128
_SAMPLES, _SEQUENCE_LENGTH = 64, 512


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is compared, and where its files go."""

    model: SourceModel
    recipes: tuple[Recipe, ...]
    engines: tuple[str, ...]
    threads: int
    scratch: Path
    with_tools: bool = True

    def artifact(self, recipe: str) -> Path:
        """Where a recipe's artifact lies."""
        return artifact_directory(ARTIFACTS_DIR, self.model, recipe)

    def proof(self, recipe: Recipe) -> Path | None:
        """Where the tool's own logits go; None where no model is held in memory by a tool."""
        proves = METHODS[recipe.method].worker_module is not None
        if not (self.with_tools and proves):
            return None
        return self.scratch / "proofs" / f"{recipe.name}.safetensors"


def make(bench: Bench) -> None:
    """Every artifact; where a tool can say what its model computed, it is run for that."""
    for proving in (True, False):
        names = [item.name for item in bench.recipes if (bench.proof(item) is None) != proving]
        order = Order(
            model=bench.model,
            recipe_names=tuple(names),
            calibration=calibration_plan(BUNDLED, _SAMPLES, _SEQUENCE_LENGTH),
            artifacts=ARTIFACTS_DIR,
            threads=bench.threads,
            proofs=bench.scratch / "proofs" if proving else None,
        )
        if names:
            make_artifacts(order, lambda line: print(line, flush=True))


def score(bench: Bench, weight_only: Collection[str]) -> Scores:
    """What the decoded artifacts compute, from one process."""
    request = ScoreRequest(
        model=bench.model.folder.resolve(),
        text=calibration_plan(BUNDLED, 1, 1).path,
        sequences=SCORED_SEQUENCES,
        sequence_length=SCORED_TOKENS,
        artifacts=tuple(
            ArtifactToScore(
                recipe=recipe.name,
                artifact=bench.artifact(recipe.name).resolve(),
                proof=bench.proof(recipe),
                keep_inputs=recipe.name in weight_only,
            )
            for recipe in bench.recipes
        ),
        threads=bench.threads,
        answer=bench.scratch / "answer.json",
    )
    asked = bench.scratch / "request.json"
    asked.write_text(request.model_dump_json())
    with ProgressLine("scoring") as progress:
        run_tool(
            [environment_python("quantize"), "-m", "quantize.checkpoint.score_job", asked],
            log=bench.scratch / "score.log",
            threads=bench.threads,
            on_progress=lambda tail, _: progress(tail.rpartition("progress: ")[2].strip()),
        )
    return Scores.model_validate_json(request.answer.read_text())


def served(bench: Bench) -> list[tuple[Variant, Arithmetic]]:
    """The variants of the bench's recipes that its engines serve here, and how they compute."""
    names = {recipe.name for recipe in bench.recipes}
    machine = probe_machine()
    found: list[tuple[Variant, Arithmetic]] = []
    for variant in VARIANTS.values():
        how = variant.arithmetic_on(engine_device(variant.engine, machine))
        mine = variant.recipe.name in names and variant.engine.name in bench.engines
        if mine and how in ("native", "weight-only"):
            found.append((variant, how))
    return found


def compare(bench: Bench) -> tuple[Scores, list[Figure]]:
    """Score every artifact decoded, then ask every served variant's engine, one after another."""
    asked = served(bench)
    weight_only = {item.recipe.name for item, how in asked if how == "weight-only"}
    scores = score(bench, weight_only)
    figures = []
    for variant, arithmetic in asked:
        print(f"asking {variant.name} …", flush=True)
        artifact = bench.artifact(variant.recipe.name)
        found, kinds = engine_scores(variant, artifact, scores.ids, bench.threads)
        print(f"  holds {kinds}")
        scored = scores.scored[variant.recipe.name]
        figures.append(engine_figure(variant, scored, found, arithmetic))
    return scores, figures


def engine_figure(
    variant: Variant,
    scored: Scored,
    found: Sequence[Sequence[float]],
    arithmetic: Arithmetic = "native",
) -> Figure:
    """An engine's log-probabilities against those of the decoded artifact."""
    expected = scored.logprobs
    if arithmetic == "weight-only":
        assert scored.inputs_kept is not None
        expected = scored.inputs_kept
    value = float(np.abs(np.array(found) - np.array(expected)).mean())
    how = " (weights alone)" if arithmetic == "weight-only" else ""
    return Figure(
        name=f"{variant.recipe.name}: {variant.engine.title} against decoded{how}",
        value=value,
        unit="nats/token",
        against=scored.bf16_rounding.mean_nats,
        ratio=value / ENGINE_LIMIT_NATS,
        limit=ENGINE_LIMIT_NATS,
        met=value <= ENGINE_LIMIT_NATS,
    )
