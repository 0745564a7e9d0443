"""``assay up``, ``serve``, ``status``, ``down``, ``conformance``, ``prometheus``: the service."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from eval.command_line.options import (
    BaselineOption,
    ModelOption,
    PlanOption,
    RayAddressOption,
    VariantsOption,
    choose,
    say,
)
from eval.command_line.word_completion import engine_names

if TYPE_CHECKING:
    from deploy.plan import Plan
    from deploy.plan_choice import PlanChoice


def _ready_to_serve(choice: "PlanChoice", ray_address: str) -> "Plan":
    """The plan with its artifacts made, after everything that can be refused before that."""
    from deploy.machine_check import check_machine, check_shared_memory
    from deploy.make_artifacts import make_artifacts
    from deploy.plan import PlanError
    from deploy.ray_cluster.cluster_check import check_address
    from deploy.resident_plan import residency_of
    from deploy.service import read_record
    from deploy.up import refuse_foreign_port

    plan = choice.to_serve(say)
    check_machine(plan)
    if ray_address:
        check_address(ray_address)
        if plan.serving.residency == "turns":
            raise PlanError(
                "serving.residency: turns is for a service of its own; on a Ray cluster every "
                "variant reserves its room (the plan's placement)"
            )
    else:
        check_shared_memory(plan)
        if (residency := residency_of(plan)) is not None:
            say("\n".join(residency.lines()))
        # What our own last service left there goes when this one takes its place.
        if read_record() is None:
            refuse_foreign_port(plan)
    make_artifacts(plan, say)
    return plan


def up(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    ray_address: RayAddressOption = "",
) -> None:
    """Serve in the background, and print where."""
    from deploy.health import health, table
    from deploy.machine_check import weight_only_note
    from deploy.service import RUN_DIR
    from deploy.up import up as bring_up
    from quantize.jobs.lock import hold

    choice = choose(plan, model, variants, baseline)
    served = _ready_to_serve(choice, ray_address)
    if note := weight_only_note(served):
        say(note)
    say(f"deploy: {len(served.variants)} variants at {served.serving.url}")
    with hold(RUN_DIR, "make deploy-all"):
        bring_up(
            served,
            choice.words(served),
            say,
            owned=False,
            needed=served.variants,
            ray_address=ray_address or None,
        )
    found = health(served.serving.url)
    say(table(served.serving.url, found, nodes=bool(ray_address)))
    say(f"all variants by model name: {served.serving.url}/v1   stop with: make down")


def serve(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    ray_address: RayAddressOption = "",
) -> None:
    """Be the service."""
    from deploy.up import own_cluster_environment, tell_of_foreign

    served = _ready_to_serve(choose(plan, model, variants, baseline), ray_address)
    tell_of_foreign(served, say)
    if not ray_address:
        variables = own_cluster_environment(os.environ)
        os.environ.clear()
        os.environ.update(variables)
    # Only now: Ray reads its variables when it is imported.
    from deploy.ray_cluster.host import serve_plan

    serve_plan(served, ray_address or None)


def status(
    machine: Annotated[
        bool, typer.Option("--machine", help="The device, the engines' builds, every recipe.")
    ] = False,
) -> None:
    """Tell what runs, or what can."""
    if machine:
        from deploy.machine_report import machine_report

        say(machine_report())
        return
    from deploy.health import health, table
    from deploy.listeners import heard_beyond
    from deploy.service import read_record
    from services.engine.life_cycle import State

    record = read_record()
    if record is None:
        say("nothing runs (start with: make deploy-all)")
    elif not record.is_alive():
        say(table(record.url, {name: {"state": State.STOPPED} for name in record.variants}))
        say("the host process is gone; start again with: make deploy-all")
    else:
        where = f" on the Ray cluster {record.ray_address}" if record.ray_address else ""
        say(f"plan {record.plan} at {record.url}{where}, host process {record.host_pid}")
        say(table(record.url, health(record.url), nodes=record.ray_address is not None))
        if record.ray_address is None and (heard := list(heard_beyond(record))):
            told = ", ".join(f"{name} at {address} port {port}" for name, address, port in heard)
            say(f"beyond loopback, for whoever has the token of this Ray, listen: {told}")


def down() -> None:
    """Stop what runs."""
    from deploy.service import read_record, stop

    record = read_record()
    if record is None:
        say("nothing runs")
        return
    stop(record)
    say(f"stopped {record.plan} at {record.url}")


def prometheus(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
) -> None:
    """Watch what runs, with the key that the plan names."""
    from deploy.client_key import client_key
    from deploy.prometheus.monitoring import Watched, watch
    from deploy.service import DeployError, read_record

    choose(plan, model, variants, baseline).load()
    record = read_record()
    if record is None or not record.is_alive():
        raise DeployError("nothing runs that could be watched (start with: make deploy-all)")
    watch(Watched(url=record.url, key=client_key()))


def conformance(
    engine: Annotated[
        str, typer.Option(help="The engine.", metavar="NAME", autocompletion=engine_names)
    ] = "",
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
) -> None:
    """Check one engine."""
    from deploy.conformance_run import run_conformance

    run_conformance(engine, choose(plan, model, variants, baseline).load(), say)
