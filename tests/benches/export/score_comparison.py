"""Making artifacts, scoring them decoded, and asking real engines for the same tokens' scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deploy.artifacts import ARTIFACTS_DIR
from deploy.machine_check import engine_device
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.emulation.score_messages import SCORE, ArtifactToScore, Scored, ScoreRequest, Scores
from quantize.formats.layer_format import InputKind
from quantize.formats.storage_formats import FORMATS
from quantize.jobs.environment import tool_variables
from quantize.jobs.progress import ProgressLine
from quantize.jobs.worker import run_job
from quantize.machine import Device, probe_machine
from quantize.methods import METHODS
from quantize.model_source import prepared
from quantize.order import Order
from quantize.recipes.catalogue import Recipe
from quantize.source.source_model import SourceModel
from services.engines.table import ENGINES
from services.variants import VARIANTS, Variant
from tests.benches.export.engine_scores import engine_scores
from tests.benches.harness.bench_artifacts import make_or_void
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.bench_run import BenchRun

ENGINE_LIMIT_NATS = 0.02
# Two roundings of the same sums, the engine's and the yardstick's, are independent of each other.
_ROUNDINGS = 1.5
SCORED_SEQUENCES, SCORED_TOKENS = 8, 128
_SAMPLES, _SEQUENCE_LENGTH = 64, 512


@dataclass(frozen=True, kw_only=True)
class ScoreBench:
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


def make(bench: ScoreBench, run: BenchRun) -> ScoreBench:
    """Every artifact; where a tool can say what its model computed, it is run for that.

    Returns the bench without the recipes that have no artifact.
    """
    made: list[str] = []
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
            made += make_or_void(order, run)
    return replace(bench, recipes=tuple(item for item in bench.recipes if item.name in made))


def score(bench: ScoreBench, kept: Mapping[str, tuple[InputKind, ...]]) -> Scores:
    """What the decoded artifacts compute, from one process."""
    request = ScoreRequest(
        model=prepared(bench.model, ARTIFACTS_DIR).folder.resolve(),
        text=calibration_plan(BUNDLED, 1, 1).path,
        sequences=SCORED_SEQUENCES,
        sequence_length=SCORED_TOKENS,
        artifacts=tuple(
            ArtifactToScore(
                recipe=recipe.name,
                artifact=bench.artifact(recipe.name).resolve(),
                proof=bench.proof(recipe),
                kept_inputs=kept.get(recipe.name, ()),
            )
            for recipe in bench.recipes
        ),
        threads=bench.threads,
    )
    with ProgressLine("scoring") as progress:
        return run_job(
            SCORE,
            request,
            log=bench.scratch / "score.log",
            variables=tool_variables(bench.threads),
            told=lambda said: progress(said.words if said else ""),
        ).reply


def served(bench: ScoreBench) -> list[tuple[Variant, Device]]:
    """What the bench's engines serve of its recipes here, not by emulation, and on what each."""
    names = {recipe.name for recipe in bench.recipes}
    machine = probe_machine()
    devices = {
        name: engine_device(engine, machine)
        for name, engine in ENGINES.items()
        if name in bench.engines
    }
    return [
        (variant, devices[variant.engine.name])
        for variant in VARIANTS.values()
        if variant.recipe.name in names
        and variant.engine.name in devices
        and variant.arithmetic_on(devices[variant.engine.name]) in ("native", "weight-only")
    ]


def _kept_inputs(variant: Variant, device: Device) -> tuple[InputKind, ...]:
    """The ways of rounding inputs that the variant's engine leaves out on a device."""
    if variant.arithmetic_on(device) != "weight-only":
        return ()
    formats = variant.engine.checkpoints
    return tuple(
        row.inputs
        for row in FORMATS.values()
        if row.inputs is not None and formats.get(row.name, {}).get(device) == "weight-only"
    )


def compare(bench: ScoreBench, run: BenchRun) -> Scores:
    """Score every artifact decoded, then ask every served variant's engine, one after another."""
    asked = served(bench)
    kept = {variant.recipe.name: _kept_inputs(variant, device) for variant, device in asked}
    scores = score(bench, kept)
    for variant, _device in asked:
        with run.cell(f"{variant.recipe.name}: {variant.engine.title}"):
            run.say(f"asking {variant.name} …")
            artifact = bench.artifact(variant.recipe.name)
            found, kinds = engine_scores(variant, artifact, scores.ids, bench.threads)
            run.say(f"  holds {kinds}")
            run.figures += engine_figures(variant, scores.scored[variant.recipe.name], found)
    return scores


def engine_figures(
    variant: Variant, scored: Scored, found: Sequence[Sequence[float]]
) -> list[Figure]:
    """An engine's log-probabilities against those of the decoded artifact: the text's, a token's.

    The mean over the text is what a perplexity is made of, and rounding that falls to either side
    at random cancels in it. A single token's does not: where a format rounds inputs, two exact
    implementations differ by what computing in bfloat16 moves, and llama.cpp from any by what its
    kernels' own rounding of inputs moves: the larger of both is allowed for.
    """
    expected = scored if scored.inputs_kept is None else scored.inputs_kept
    off = np.array(found) - np.array(expected.logprobs)
    how = "" if scored.inputs_kept is None else ", inputs kept"
    name = f"{variant.recipe.name}: {variant.engine.title} against decoded{how}"
    roundings = [expected.bf16_rounding, scored.engine_rounding]
    rounding = max(item.mean_nats for item in roundings if item is not None)
    limit = max(ENGINE_LIMIT_NATS, _ROUNDINGS * rounding)
    each, text = float(np.abs(off).mean()), abs(float(off.mean()))
    return [
        at_most(f"{name}, text", text, "nats/token", ENGINE_LIMIT_NATS),
        at_most(f"{name}, tokens", each, "nats/token", limit, rounding),
    ]
