"""``python -m eval.export_bench``: what was exported is what the tool computed, and engines agree.

Three comparisons on the same token ids, written to ``results/bench/export.json``:

* every artifact, decoded from its packed tensors by the transformers engine's code, against the
  tool's own quantized model in memory; the limit is what rounding to bfloat16 moves in that same
  artifact;
* the decoded artifact against vLLM, and
* against llama.cpp, on this machine: mean difference of a token's log-probability. Where an engine
  only shrinks a format's weights on this machine's device, the decoded inputs are kept too.

``--without-tools`` leaves the first comparison out: artifacts that were made elsewhere are held
against the engines of a machine that has no quantization tools.
"""

import argparse
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.artifacts import ARTIFACTS_DIR
from deploy.command_line import run_command
from deploy.machine_check import engine_device
from eval.export_bench.engine_scores import engine_scores
from quantize.artifact_paths import artifact_directory
from quantize.bench_figures import BENCH_DIR, Figure, write_figures
from quantize.calibration import BUNDLED, calibration_plan
from quantize.checkpoint.score_files import ArtifactToScore, Scored, ScoreRequest, Scores
from quantize.machine import probe_machine
from quantize.make import make_artifacts
from quantize.methods import METHODS
from quantize.order import Order
from quantize.progress import ProgressLine
from quantize.recipes import RECIPES, Recipe, find_recipe
from quantize.source_model import REFERENCE, SourceModel, fingerprint
from quantize.tool_process import environment_python, run_tool
from services.engines.support import Arithmetic
from services.variants import VARIANTS, Variant

ENGINE_LIMIT_NATS = 0.02
_SAMPLES, _SEQUENCE_LENGTH = 64, 512
_SCORED_SEQUENCES, _SCORED_TOKENS = 8, 128


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


def run(bench: Bench) -> bool:
    """Make, score, compare, print, write; returns whether every limit is met."""
    _make(bench)
    served = _served(bench)
    weight_only = {item.recipe.name for item, how in served if how == "weight-only"}
    scores = _score(bench, weight_only)
    figures = tool_figures(scores)
    for variant, arithmetic in served:
        print(f"asking {variant.name} …", flush=True)
        artifact = bench.artifact(variant.recipe.name)
        found, kinds = engine_scores(variant, artifact, scores.ids, bench.threads)
        print(f"  holds {kinds}")
        scored = scores.scored[variant.recipe.name]
        figures.append(engine_figure(variant, scored, found, arithmetic))
    print_table(figures)
    path = BENCH_DIR / "export.json"
    write_figures(
        path,
        figures,
        model=bench.model.name,
        tokens=_SCORED_SEQUENCES * _SCORED_TOKENS,
        device=probe_machine().name,
    )
    print(f"written to {path}")
    return all(figure.met is not False for figure in figures)


def _make(bench: Bench) -> None:
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


def _score(bench: Bench, weight_only: Collection[str]) -> Scores:
    """What the decoded artifacts compute, from one process."""
    request = ScoreRequest(
        model=bench.model.folder.resolve(),
        text=calibration_plan(BUNDLED, 1, 1).path,
        sequences=_SCORED_SEQUENCES,
        sequence_length=_SCORED_TOKENS,
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


def _served(bench: Bench) -> list[tuple[Variant, Arithmetic]]:
    """The variants of the bench's recipes that its engines serve here, and how they compute."""
    names = {recipe.name for recipe in bench.recipes}
    machine = probe_machine()
    served: list[tuple[Variant, Arithmetic]] = []
    for variant in VARIANTS.values():
        how = variant.arithmetic_on(engine_device(variant.engine, machine))
        mine = variant.recipe.name in names and variant.engine.name in bench.engines
        if mine and how in ("native", "weight-only"):
            served.append((variant, how))
    return served


def tool_figures(scores: Scores) -> list[Figure]:
    """Decoded artifacts against the tools' own models, on the proofs' tokens."""
    figures = []
    for recipe, scored in scores.scored.items():
        if scored.to_tool is None:
            continue
        value, limit = scored.to_tool.mean_nats, scored.bf16_rounding.mean_nats
        figures.append(
            Figure(
                name=f"{recipe}: decoded against the tool's own model",
                value=value,
                unit="nats/token",
                against=limit,
                ratio=value / limit if limit else None,
                limit=limit,
                met=value <= limit,
            )
        )
    return figures


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


def print_table(figures: Sequence[Figure]) -> None:
    """One line per figure: the difference, its limit, and what bfloat16 alone moves."""
    print(f"{'mean difference of a token, nats':<64}{'value':>10}{'limit':>10}{'bf16':>10}")
    for figure in figures:
        mark = "" if figure.met else "  !"
        print(
            f"{figure.name:<64}{figure.value:>10.5f}{figure.limit or 0:>10.5f}"
            f"{figure.against or 0:>10.5f}{mark}"
        )


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m eval.export_bench", description=__doc__)
    parser.add_argument("--model", default=REFERENCE, help="reference, or a folder")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="names, separated by commas")
    parser.add_argument("--engines", default="vllm,llamacpp", help="names, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-tools", action="store_true", help="hold the engines alone")
    arguments = parser.parse_args()

    def command() -> None:
        with tempfile.TemporaryDirectory(prefix="assay-export-") as scratch:
            bench = Bench(
                model=fingerprint(arguments.model),
                recipes=tuple(find_recipe(name.strip()) for name in arguments.recipes.split(",")),
                engines=tuple(name.strip() for name in arguments.engines.split(",")),
                threads=arguments.threads,
                scratch=Path(scratch),
                with_tools=not arguments.without_tools,
            )
            if not run(bench):
                sys.exit(1)

    run_command("bench-export", command)


if __name__ == "__main__":
    main()
