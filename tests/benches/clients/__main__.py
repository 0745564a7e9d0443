"""``python -m tests.benches.clients``: do the clients that people use get their answers?

Serves one variant of every engine for itself, and points each client at each of them, through the
gateway and at its own base: vLLM's serving benchmark, GuideLLM, AIPerf, the ``lm_eval`` command,
and programs that ask through OpenAI's package, LiteLLM and LangChain. Nothing may fail. What an
engine without grammars cannot do must be refused by name. Writes ``results/bench/clients.json``.
"""

import argparse
import json
import os
import subprocess
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import yaml

from deploy.artifacts import artifact_of, source_model
from deploy.service import RUN_DIR
from quantize.jobs.environment import python_of
from quantize.root import ROOT, VENVS
from services.variants import find_variant
from tests.benches.clients.command_clients import COMMAND_CLIENTS, CommandClient, Target
from tests.benches.clients.outcomes import Outcome, figures_of, outcomes_table
from tests.benches.clients.tool_model import make_tool_model
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.own_service import OwnService, own_service

PLAN = Path(__file__).parent / "plan.yaml"
LIBRARY_CLIENTS = ("openai", "litellm", "langchain")
LIBRARY_CLIENT = "tests.benches.clients.in_clients.library_clients"
NAMES = (*LIBRARY_CLIENTS, *COMMAND_CLIENTS)
TIMEOUT_S = 600
GOOD = ("ok", "refused")
# Nothing is to be looked up or told anywhere but at the service.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def clients_plan() -> Path:
    """The plan of the model with tools, beside which it is written."""
    model, path = RUN_DIR / "model", RUN_DIR / "clients.yaml"
    make_tool_model(model)
    content = {**yaml.safe_load(PLAN.read_text()), "model": str(model)}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def versions() -> dict[str, str]:
    """What was run: the clients' distributions, by the environments that hold them."""
    wanted = {(client.environment, client.distribution) for client in COMMAND_CLIENTS.values()}
    wanted |= {("clients", name) for name in ("openai", "litellm", "langchain-openai")}
    found = {}
    for environment, distribution in sorted(wanted):
        folders = [str(p) for p in (VENVS / environment).glob("lib/python3*/site-packages")]
        for item in distributions(path=folders):
            name = item.metadata["Name"].lower().replace("_", "-")
            if name == distribution or name == f"{distribution}-cpu":
                found[name] = item.version
    return found


def run_client(argv: list[str]) -> tuple[int, str]:
    """Exit code and output of one client."""
    ended = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, **QUIET},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return ended.returncode, ended.stdout


def ask_command(name: str, client: CommandClient, target: Target, base: str) -> Outcome:
    """Run a command, and read what it counted."""
    code, output = run_client(client.argv(target))
    try:
        ok, failed = client.read(target.results)
    except (OSError, ValueError, LookupError, TypeError) as error:
        ok, failed = 0, 1
        output += f"\n{error!r}"
    failed += code != 0 and not failed
    reason = output.strip().splitlines()[-1] if failed and output.strip() else ""
    return Outcome(
        client=name, variant=target.variant, base=base, ok=ok, failed=failed, reason=reason
    )


def ask_library(name: str, target: Target, base: str) -> Outcome:
    """Run the program of one library."""
    url = f"{target.root}/v1"
    code, output = run_client(
        [str(python_of("clients")), "-m", LIBRARY_CLIENT, name, url, target.variant]
    )
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"case"')]
    ended = [line["ended"] for line in lines]
    wrong = [f"{line['case']}: {line['ended']}" for line in lines if line["ended"] not in GOOD]
    if code:
        wrong.append(output.strip().splitlines()[-1] if output.strip() else f"exit code {code}")
    refused = ended.count("refused")
    may_refuse = "response_format" not in find_variant(target.variant).engine.claims
    if refused and not may_refuse:
        wrong += [f"{line['case']}: refused" for line in lines if line["ended"] == "refused"]
    return Outcome(
        client=name,
        variant=target.variant,
        base=base,
        ok=ended.count("ok"),
        refused=refused if may_refuse else 0,
        failed=len(wrong),
        reason="; ".join(wrong),
    )


def ask(name: str, service: OwnService, variant: str, base: str) -> Outcome:
    """One client at one variant, through one base."""
    root = service.url if base == "/v1" else f"{service.url}/{variant}"
    # The GGUF's own folder holds no tokenizer that these clients read.
    artifact = artifact_of(source_model(service.plan), "bf16")
    with tempfile.TemporaryDirectory(prefix="assay-clients-") as folder:
        target = Target(root=root, variant=variant, tokenizer=artifact, results=Path(folder))
        if name in COMMAND_CLIENTS:
            return ask_command(name, COMMAND_CLIENTS[name], target, base)
        return ask_library(name, target, base)


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Serve, and let every client ask."""
    run.more["versions"] = versions()
    run.say(", ".join(f"{name} {number}" for name, number in versions().items()))
    outcomes: list[Outcome] = []
    with own_service(str(clients_plan()), "make bench-clients", run.say, None) as service:
        try:
            for name in arguments.clients:
                for variant in service.plan.variants:
                    for base in ("/v1", f"/{variant}/v1"):
                        with run.cell(f"{name} {variant} {base}"):
                            outcomes.append(ask(name, service, variant, base))
                            run.say(outcomes_table(outcomes[-1:]).splitlines()[-1])
        finally:
            run.figures += figures_of(outcomes)
            run.say(f"\n{outcomes_table(outcomes)}")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--clients", NAMES)


BENCH = Bench(
    name="clients",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    environments=("clients",),
)

if __name__ == "__main__":
    start(BENCH)
