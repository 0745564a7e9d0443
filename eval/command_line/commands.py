"""What ``assay`` can do, a row per sub-command: its help before and after anything is installed.

Standard library only: ``./assay --help`` reads it before any environment exists.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.setup.environments import DEFAULT
from quantize.root import ROOT

HELP = ("-h", "--help")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A sub-command; those of its ``environments`` that are missing are made first."""

    summary: str
    examples: tuple[str, ...] = ()
    environments: Sequence[str] = tuple(DEFAULT)

    @property
    def help(self) -> str:
        """Summary and examples, as ``--help`` shows them (``\\b`` keeps its lines apart)."""
        examples = "".join(f"\n  assay {line}" for line in self.examples)
        return f"{self.summary}\n\n\b\nExamples:{examples}" if self.examples else self.summary


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A benchmark of ours: the module that runs it, with options of its own."""

    module: str
    summary: str
    environments: Sequence[str] = tuple(DEFAULT)


COMMANDS: Mapping[str, Command] = {
    "compare": Command(
        summary="Everything: quantize, serve, load-test, question, report, verdict.",
        examples=(
            "compare",
            "compare --model /path/to/model --variants bf16-vllm,gguf-q4_k_m",
            "compare --plan number-formats",
        ),
    ),
    "up": Command(
        summary="Serve every variant in the background; returns when all are ready.",
        examples=("up", "up --variants gguf-q4_k_m", "up --ray-address 10.0.0.1:6379"),
    ),
    "serve": Command(
        summary="Serve in the foreground, until Ctrl-C or SIGTERM (for containers).",
        examples=("serve --plan container",),
    ),
    "status": Command(
        summary="What runs, with health.",
        examples=("status", "status --machine"),
        environments=(),
    ),
    "down": Command(summary="Stop what this project started.", examples=("down",), environments=()),
    "quantize": Command(
        summary="Make what is missing of the plan's artifacts, or the recipes that are named.",
        examples=(
            "quantize",
            "quantize --dry-run --recipes gptq-int4-g32,gptq-int4-g128",
            "quantize --model /path/to/model --recipes nvfp4",
        ),
    ),
    "capacity": Command(
        summary="What a model needs in memory, and what holds it; downloads no weights.",
        examples=(
            "capacity --model /path/to/model --memory 128GiB",
            "capacity --recipes fp8,nvfp4,gguf-q4_k_m --context 8192 --concurrency 32",
        ),
        environments=("control",),
    ),
    "explore": Command(
        summary="Figures of what every number format keeps of a model: a page and pictures.",
        examples=("explore", "explore --model /path/to/model --output formats"),
        environments=("control", "quantize"),
    ),
    "loadtest": Command(
        summary="Load-test what is served, or any OpenAI endpoint.",
        examples=(
            "loadtest",
            "loadtest --slo ttft=500ms,tpot=50ms",
            "loadtest --url http://10.0.0.2:8000/v1 --model my-model --streams 1,8,32",
        ),
        environments=("control",),
    ),
    "loadtest-ui": Command(
        summary="Locust's own page on what is served, with tokens in its tables and charts.",
        examples=("loadtest-ui", "loadtest-ui --variants gguf-q4_k_m --port 8090"),
        environments=("control",),
    ),
    "loads": Command(
        summary="What was measured under load, beside results of other tools; exports for llm-d.",
        examples=(
            "loads benchmarks.json profile_export_aiperf.json",
            "loads --plan my-plan.yaml vllm-result.json --llmd reports/",
        ),
        environments=("control",),
    ),
    "slo-search": Command(
        summary="Search the highest rate of arrivals at which what is served meets the plan's SLO.",
        examples=("slo-search", "slo-search --variants gguf-q4_k_m --trials 30"),
        environments=(),
    ),
    "calibrate": Command(
        summary="What the load generator costs, adds, and where it saturates on this machine.",
        examples=("calibrate",),
        environments=("control",),
    ),
    "eval": Command(summary="Question what is served.", examples=("eval",), environments=()),
    "report": Command(
        summary="Comparison, verdict and report from what was measured; or two runs compared.",
        examples=(
            "report",
            "report --plan my-plan.yaml --export answers/",
            "report results/cpu-demo-before results/cpu-demo-1a2b3c4d --markdown",
        ),
        environments=(),
    ),
    "conformance": Command(
        summary="Start one engine on the plan's model and hold it to what it claims.",
        examples=("conformance --engine vllm",),
    ),
    "prometheus": Command(
        summary="Watch what runs with Debian's Prometheus, at http://127.0.0.1:9090.",
        examples=("prometheus",),
        environments=(),
    ),
    "bench": Command(
        summary="Assay's benchmarks of itself, side by side with something else.",
        examples=("bench serving --help", "bench soak --minutes 5"),
    ),
    "setup": Command(
        summary="Make the environments under .venvs/, the engines built for this machine.",
        examples=("setup", "setup --build cpu", "setup --wheelhouse /media/wheels"),
    ),
    "wheelhouse": Command(
        summary="Collect all that set-up needs on another machine that has no network.",
        examples=(
            "wheelhouse --python 3.12 --cuda 13 --output /media/wheels",
            "wheelhouse --python 3.12 --system pip-list.txt --part-mb 58",
        ),
        environments=(),
    ),
}
BENCHES: Mapping[str, Bench] = {
    "serving": Bench(
        module="tests.benches.serving",
        summary="What Ray Serve adds to an engine that is asked directly.",
    ),
    "engines": Bench(
        module="tests.benches.engines",
        summary="Our llama.cpp server against llama-server and llama-cpp-python's two.",
    ),
    "faults": Bench(
        module="tests.benches.fault",
        summary="Kill, hang, fill and leave a service of its own: what do its clients see?",
    ),
    "fuzz": Bench(
        module="tests.benches.fuzz",
        summary="10,000 wrong requests: no server error, no crash, no traceback.",
    ),
    "soak": Bench(
        module="tests.benches.soak",
        summary="Mixed load for an hour: is memory flat, is every answer right?",
    ),
    "recipes": Bench(
        module="tests.benches.recipes",
        summary="Every recipe in one table: bits, time, memory, SNR, perplexity, accuracy.",
    ),
    "export": Bench(
        module="tests.benches.export",
        summary="Exported artifacts against the tools' own models, vLLM and llama.cpp.",
    ),
    "clients": Bench(
        module="tests.benches.clients",
        summary="Do the clients that people use get their answers, from every engine?",
    ),
    "agreement": Bench(
        module="tests.benches.agreement",
        summary="Do load generators agree about one endpoint, and what does an event cost each?",
    ),
    "client": Bench(
        module="tests.benches.client",
        summary="What the load generator itself adds to latency.",
        environments=("control",),
    ),
    "evidence": Bench(
        module="tests.benches.evidence",
        summary="Where the truth is known: do intervals hold it, how often is a verdict false?",
        environments=("control",),
    ),
    "detect": Bench(
        module="tests.benches.detect",
        summary="Is a difference in speed seen beside a noisy neighbour, and none where none is?",
        environments=("control",),
    ),
}


def version() -> str:
    """``assay`` and its version, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"{project['name']} {project['version']}"


def overview() -> str:
    """The list of sub-commands, without the library that parses them."""
    width = max(map(len, COMMANDS))
    rows = (f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return "\n".join(["Usage: assay COMMAND [OPTIONS]", "", "Commands:", *rows])
