"""Refuse, before minutes of work, the variants that this machine's device cannot run."""

import shutil
from pathlib import Path

import psutil

from deploy.plan import Plan, PlanError
from deploy.plan_load import ClosedLoopLoad
from deploy.planner.room import placement_of, why_no_room
from deploy.residency.needs import Demand, bytes_on_gpu
from deploy.service import DeployError
from deploy.settings import engine_version
from deploy.setup.environments import read_marker
from quantize.machine import Device, Machine, probe_machine
from quantize.published_model import recognise, what_recipes_read
from services.engines.spec import EngineSpec
from services.engines.table import ENGINES
from services.variants import Variant, refusal

SHARED_MEMORY = Path("/dev/shm")


def check_machine(plan: Plan) -> None:
    """Hold every variant of the plan against the machine, and the engines installed on it.

    Raises:
        PlanError: one line for each variant that cannot run, with the reason and what can instead.
        SourceModelError: the plan's model cannot be found or read.
    """
    machine = probe_machine()
    found = (
        refusal(variant, engine_device(variant.engine, machine), machine)
        for variant in plan.resolved_variants()
    )
    reasons = [reason for reason in found if reason is not None]
    reasons = reasons or _too_large(plan, machine)
    if reasons:
        raise PlanError("\n".join(f"variants: {reason}" for reason in reasons))


def check_shared_memory(plan: Plan) -> None:
    """Hold engines whose processes talk through shared memory against what is free of it here.

    For those who serve here: a container has 64 MiB unless it is told otherwise.

    Raises:
        PlanError: one line for each variant that could not start, with the remedy.
    """
    if not SHARED_MEMORY.is_dir():
        return
    machine, free = probe_machine(), shutil.disk_usage(SHARED_MEMORY).free
    reasons = [
        f"variants: {variant.name}: {variant.engine.title} wants "
        f"{variant.engine.shared_memory_bytes >> 20} MiB free in {SHARED_MEMORY}, which has "
        f"{free >> 20}; enlarge it (docker run --shm-size=1g, or mount -o remount,size=1g "
        f"{SHARED_MEMORY})"
        for variant in plan.resolved_variants()
        if variant.engine.shared_memory_bytes > free and _has_workers(plan, variant, machine)
    ]
    if reasons:
        raise PlanError("\n".join(reasons))


def _has_workers(plan: Plan, variant: Variant, machine: Machine) -> bool:
    """Whether the engine's workers are processes of their own: on a CPU, or on several GPUs."""
    on_cpu = engine_device(variant.engine, machine) == "cpu"
    return on_cpu or (plan.limits_of(variant.name).tuning.tensor_parallel or 1) > 1


def _too_large(plan: Plan, machine: Machine) -> list[str]:
    """Why variants that each have a GPU for themselves do not fit it, where the shape is known."""
    if machine.device == "cpu" or not plan.serving.one_at_a_time:
        return []
    published = recognise(plan.model)
    _, shape = what_recipes_read(plan.model, published, plan.source)
    device = placement_of(machine, machine.memory_bytes or psutil.virtual_memory().total)
    found = []
    for variant in plan.resolved_variants():
        if engine_device(variant.engine, machine) == machine.device:
            gpus = plan.limits_of(variant.name).tuning.tensor_parallel or 1
            asked = bytes_on_gpu(shape, variant, _demand(plan, variant), published)
            why = why_no_room(asked, device, gpus)
            found += [f"{variant.name} {why}"] if why is not None else []
    return found


def _demand(plan: Plan, variant: Variant) -> Demand:
    """The heaviest load that is planned, and one sequence of full length."""
    most = plan.limits_of(variant.name).max_sequences
    amounts = plan.load.amounts if isinstance(plan.load, ClosedLoopLoad) else (most,)
    return Demand(
        context=plan.serving.context_length,
        tokens=plan.load.longest_request or plan.serving.context_length,
        sequences=min(most, int(max(amounts))),
        cache_gib=None,
    )


def weight_only_variants(plan: Plan) -> list[str]:
    """The variants whose engine only shrinks the weights here, though their format asks for more.

    Their speed and quality say nothing about a device that computes in the format itself.
    """
    machine = probe_machine()
    return [
        variant.name
        for variant in plan.resolved_variants()
        if variant.arithmetic_on(engine_device(variant.engine, machine)) == "weight-only"
    ]


def weight_only_note(plan: Plan) -> str | None:
    """One line about them; None where there are none."""
    names = weight_only_variants(plan)
    if not names:
        return None
    return (
        f"weight-only on this machine, inputs stay 16 bits wide: {', '.join(names)}; their speed "
        "and quality say nothing about a device that has the format"
    )


def engine_device(engine: EngineSpec, machine: Machine) -> Device:
    """What the engine uses of the machine: a CPU build leaves its GPU alone."""
    try:
        distribution, _version = engine_version(engine)
    except DeployError:
        return machine.device
    if engine.cpu_distributions:
        return "cpu" if distribution in engine.cpu_distributions else machine.device
    # One distribution for all devices: set-up wrote down what it was built for.
    return "cpu" if read_marker(engine.environment).get("build") == "cpu" else machine.device


def installed_devices(machine: Machine) -> dict[str, Device]:
    """What each engine that is installed computes on, by its name."""
    found = {}
    for engine in ENGINES.values():
        try:
            engine_version(engine)
        except DeployError:
            continue
        found[engine.name] = engine_device(engine, machine)
    return found
