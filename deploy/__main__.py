"""``python -m deploy quantize|up|host|status|down|…``: artifacts and the service."""

import argparse

from deploy.artifacts import make_artifacts
from deploy.client_key import client_key
from deploy.command_line import add_plan_options, plan_arguments, plan_of, run_command
from deploy.conformance import run_conformance
from deploy.health import health, table
from deploy.machine_check import check_machine, weight_only_note
from deploy.prometheus.monitoring import Watched, watch
from deploy.ray_cluster.cluster import host
from deploy.ray_cluster.cluster_check import check_address
from deploy.service import RUN_DIR, DeployError, read_record, stop
from deploy.up import new_record, up
from quantize.jobs.lock import hold
from services.engine.life_cycle import State

COMMANDS = {
    "quantize": "make what is missing of the plan's artifacts",
    "up": "serve every variant in the background; returns when all are ready",
    "host": "the service itself, in the foreground",
    "status": "what runs, with health",
    "down": "stop what this project started",
    "prometheus": "watch the running service with Prometheus, in the foreground",
    "conformance": "start one engine on the plan's model and hold it to what it claims",
}


def _say(line: str) -> None:
    print(line, flush=True)


def _quantize(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    check_machine(plan)
    make_artifacts(plan, dry_run=arguments.dry_run)


def _up(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    check_machine(plan)
    if arguments.ray_address:
        check_address(arguments.ray_address)
    if note := weight_only_note(plan):
        _say(note)
    _say(f"deploy: {len(plan.variants)} variants at {plan.serving.url}")
    with hold(RUN_DIR, "make deploy-all"):
        up(
            plan,
            plan_arguments(arguments, plan),
            _say,
            owned=False,
            needed=plan.variants,
            ray_address=arguments.ray_address or None,
        )
    variants = health(plan.serving.url)
    print(table(plan.serving.url, variants, nodes=bool(arguments.ray_address)))
    print(f"all variants by model name: {plan.serving.url}/v1   stop with: make down")


def _host(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    host(new_record(plan, arguments.ray_address or None), plan)


def _status(_arguments: argparse.Namespace) -> None:
    record = read_record()
    if record is None:
        print("nothing runs (start with: make deploy-all)")
        return
    if not record.is_alive():
        print(table(record.url, {name: {"state": State.STOPPED} for name in record.variants}))
        print("the host process is gone; start again with: make deploy-all")
        return
    where = f" on the Ray cluster {record.ray_address}" if record.ray_address else ""
    print(f"plan {record.plan} at {record.url}{where}, host process {record.host_pid}")
    print(table(record.url, health(record.url), nodes=record.ray_address is not None))


def _down(_arguments: argparse.Namespace) -> None:
    record = read_record()
    if record is None:
        print("nothing runs")
        return
    stop(record)
    print(f"stopped {record.plan} at {record.url}")


def _prometheus(arguments: argparse.Namespace) -> None:
    # For the key that the plan names.
    plan_of(arguments)
    record = read_record()
    if record is None or not record.is_alive():
        raise DeployError("nothing runs that could be watched (start with: make deploy-all)")
    watch(Watched(url=record.url, key=client_key()))


def _conformance(arguments: argparse.Namespace) -> None:
    run_conformance(arguments.engine, plan_of(arguments))


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name not in {"status", "down"}:
            add_plan_options(command)
        if name in {"up", "host"}:
            command.add_argument("--ray-address", help="an existing Ray cluster's head, host:6379")
        if name == "quantize":
            command.add_argument("--dry-run", action="store_true", help="only say what it would do")
        if name == "conformance":
            command.add_argument("--engine", required=True, help="vllm, trtllm, llamacpp, …")
    arguments = parser.parse_args()
    action = {
        "quantize": _quantize,
        "up": _up,
        "host": _host,
        "prometheus": _prometheus,
        "status": _status,
        "down": _down,
        "conformance": _conformance,
    }
    run_command("deploy", lambda: action[arguments.command](arguments))


if __name__ == "__main__":
    main()
