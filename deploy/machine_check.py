"""Refuse, before minutes of work, the variants that this machine's device cannot run."""

from deploy.plan import Plan, PlanError
from deploy.service import DeployError
from deploy.settings import engine_version
from deploy.setup.environments import read_marker
from quantize.machine import Device, Machine, probe_machine
from services.engines.spec import EngineSpec
from services.engines.table import ENGINES
from services.variants import refusal


def check_machine(plan: Plan) -> None:
    """Hold every variant of the plan against the machine, and the engines installed on it.

    Raises:
        PlanError: one line for each variant that cannot run, with the reason and what can instead.
    """
    machine = probe_machine()
    found = (
        refusal(variant, engine_device(variant.engine, machine), machine)
        for variant in plan.resolved_variants()
    )
    reasons = [reason for reason in found if reason is not None]
    if reasons:
        raise PlanError("\n".join(f"variants: {reason}" for reason in reasons))


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
