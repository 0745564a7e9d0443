"""``… tests.benches.export``: what was exported is what the tool computed, and engines agree.

Three comparisons on the same token ids, written to ``results/bench/export.json``:

* every artifact, decoded from its packed tensors by the transformers engine's code, against the
  tool's own quantized model in memory; the limit is what rounding to bfloat16 moves in that same
  artifact (told as what a figure stands against);
* the decoded artifact against vLLM, and
* against llama.cpp, on this machine: mean difference of a token's log-probability. Where an engine
  only shrinks a format's weights on this machine's device, the decoded inputs are kept too.

``--without-tools`` leaves the first comparison out: artifacts that were made elsewhere are held
against the engines of a machine that has no quantization tools.
"""

import argparse
import tempfile
from pathlib import Path

from quantize.emulation.score_messages import Scores
from quantize.machine import probe_machine
from quantize.recipes.catalogue import RECIPES, find_recipe
from quantize.source.source_model import REFERENCE, fingerprint
from services.engines.table import ENGINES
from tests.benches.export.score_comparison import (
    SCORED_SEQUENCES,
    SCORED_TOKENS,
    ScoreBench,
    compare,
    make,
)
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.bench_run import BenchRun


def tool_figures(scores: Scores) -> list[Figure]:
    """Decoded artifacts against the tools' own models, on the proofs' tokens."""
    figures = []
    for recipe, scored in scores.scored.items():
        if scored.to_tool is not None:
            name = f"{recipe}: decoded against the tool's own model"
            limit = scored.bf16_rounding.mean_nats
            figures.append(at_most(name, scored.to_tool.mean_nats, "nats/token", limit, limit))
    return figures


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Make, score, compare."""
    with tempfile.TemporaryDirectory(prefix="assay-export-") as scratch:
        bench = ScoreBench(
            model=fingerprint(arguments.model),
            recipes=tuple(find_recipe(name) for name in arguments.recipes),
            engines=arguments.engines,
            threads=arguments.threads,
            scratch=Path(scratch),
            with_tools=not arguments.without_tools,
        )
        run.more |= {
            "model": bench.model.name,
            "tokens": SCORED_SEQUENCES * SCORED_TOKENS,
            "device": probe_machine().name,
        }
        made = make(bench, run)
        scores = compare(made, run)
        run.figures[:0] = tool_figures(scores)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=REFERENCE, help="reference, or a folder")
    add_names(parser, "--recipes", list(RECIPES))
    add_names(parser, "--engines", list(ENGINES), ("vllm", "llamacpp"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-tools", action="store_true", help="hold the engines alone")


BENCH = Bench(name="export", about=__doc__, measure=measure, add_options=_add_options)

if __name__ == "__main__":
    start(BENCH)
