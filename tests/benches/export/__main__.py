"""``… tests.benches.export``: what was exported is what the tool computed, and engines agree.

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
from collections.abc import Sequence
from pathlib import Path

from deploy.command_line import run_command
from quantize.emulation.score_files import Scores
from quantize.machine import probe_machine
from quantize.recipes.catalogue import RECIPES, find_recipe
from quantize.source.source_model import REFERENCE, fingerprint
from tests.benches.export.score_comparison import (
    SCORED_SEQUENCES,
    SCORED_TOKENS,
    Bench,
    compare,
    make,
)
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures


def run(bench: Bench) -> bool:
    """Make, score, compare, print, write; returns whether every limit is met."""
    make(bench)
    scores, engines = compare(bench)
    figures = [*tool_figures(scores), *engines]
    print_table(figures)
    path = BENCH_DIR / "export.json"
    write_figures(
        path,
        figures,
        model=bench.model.name,
        tokens=SCORED_SEQUENCES * SCORED_TOKENS,
        device=probe_machine().name,
    )
    print(f"written to {path}")
    return all(figure.met is not False for figure in figures)


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


def print_table(figures: Sequence[Figure]) -> None:
    """One line per figure: the difference, its limit, and what bfloat16 alone moves."""
    print(f"{'mean difference of a token, nats':<68}{'value':>10}{'limit':>10}{'bf16':>10}")
    for figure in figures:
        mark = "" if figure.met else "  !"
        print(
            f"{figure.name:<68}{figure.value:>10.5f}{figure.limit or 0:>10.5f}"
            f"{figure.against or 0:>10.5f}{mark}"
        )


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.export", description=__doc__)
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
