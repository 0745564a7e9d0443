"""How a plan is served on this machine: together or in turns."""

from dataclasses import dataclass

import psutil

from deploy.machine_check import engine_device
from deploy.plan import Plan, PlanError
from deploy.plan_variants import Limits
from deploy.residency.needs import Demand, Kind, Need, bytes_on_cpu, bytes_on_gpu
from deploy.residency.residency import NoRoomError, Residency, Room, Tenant, decide_residency
from quantize.machine import Machine, probe_machine
from quantize.published_model import recognise, what_recipes_read
from quantize.sizing.capacity import GIB, USABLE, Placement
from quantize.source.model_shape import ModelShape, ShapeError
from quantize.source.published import Published
from services.residency.owner import OwnerSettings
from services.variants import Variant

# Of the machine's memory, what engines may take together.
SHARE_OF_MACHINE = 0.8


def residency_of(plan: Plan) -> Residency | None:
    """How the plan's variants are served; None for one alone, or of unknown size on a CPU.

    The same on every call: what counts is how much memory there is, not how much of it is free.

    Raises:
        PlanError: they are to be awake together and do not fit.
        SourceModelError: there is no such model.
    """
    if len(plan.variants) == 1:
        return None
    machine, variants = probe_machine(), plan.resolved_variants()
    model = _model(plan)
    if model.shape is None and all(engine_device(it.engine, machine) == "cpu" for it in variants):
        return None
    room = _room(plan, machine)
    tenants = {
        variant.name: _tenant(plan, variant, model, machine, room["GPU"].total_bytes)
        for variant in variants
    }
    try:
        return decide_residency(plan.serving.residency, tenants, room)
    except NoRoomError as error:
        raise PlanError(str(error)) from None


def why_alone(plan: Plan) -> str | None:
    """Why a comparison serves each variant alone; None where all are awake together."""
    if plan.serving.one_at_a_time:
        return "as the plan says (serving.one_at_a_time)"
    residency = residency_of(plan)
    return residency.why if residency is not None and residency.mode == "turns" else None


def with_shares(plan: Plan, residency: Residency | None) -> Plan:
    """The plan with what each of its engines may take of the GPU's memory."""
    if residency is None or not residency.shares:
        return plan
    limits = {
        name: plan.limits.get(name, Limits()).model_copy(update={"memory_share": share})
        for name, share in residency.shares.items()
    }
    return plan.model_copy(update={"limits": {**plan.limits, **limits}})


def owner_settings(residency: Residency) -> OwnerSettings:
    """The same for whoever says who may be awake."""
    return OwnerSettings(
        needs={name: {need.kind: need.size_bytes} for name, need in residency.needs.items()},
        room={kind: room.usable_bytes for kind, room in residency.room.items()},
    )


def _room(plan: Plan, machine: Machine) -> dict[Kind, Room]:
    """``serving.residency_gib`` is of the GPU where there is one, else of the machine."""
    total = psutil.virtual_memory().total
    shared = machine.memory_bytes is None
    gpu_total = total if machine.memory_bytes is None else machine.memory_bytes
    gpu = Placement(name=machine.name, memory_bytes=gpu_total, shared=shared)
    usable: dict[Kind, int] = {"GPU": gpu.usable_bytes, "machine": int(total * SHARE_OF_MACHINE)}
    if plan.serving.residency_gib is not None:
        kind: Kind = "machine" if machine.device == "cpu" else "GPU"
        usable[kind] = int(plan.serving.residency_gib * GIB)
    totals: dict[Kind, int] = {"GPU": gpu_total, "machine": total}
    return {kind: Room(usable_bytes=usable[kind], total_bytes=totals[kind]) for kind in usable}


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A plan's model: its shape, where we know one, and the checkpoint that is served as it is."""

    shape: ModelShape | None
    published: Published | None


def _model(plan: Plan) -> _Model:
    published = recognise(plan.model)
    try:
        shape = what_recipes_read(plan.model, published, plan.source)[1]
    except ShapeError:
        shape = None
    return _Model(shape=shape, published=published)


def _tenant(
    plan: Plan, variant: Variant, model: _Model, machine: Machine, gpu_bytes: int
) -> Tenant:
    demand, shape, published = _demand(plan, variant), model.shape, model.published
    if engine_device(variant.engine, machine) == "cpu":
        size = variant.engine.process_bytes
        if shape is not None:
            size = bytes_on_cpu(shape, variant, demand, published)
        bound_gib = plan.limits_of(variant.name).memory_gib
        held = Need(kind="machine", size_bytes=int(bound_gib * GIB) if bound_gib else size)
        return Tenant(needs=held, alone=held)
    own = plan.limits.get(variant.name, Limits()).memory_share
    tuned = "memory_share" in variant.engine.tunes
    share = own or plan.serving.memory_share or USABLE
    whole = Need(kind="GPU", size_bytes=int(share * gpu_bytes))
    if own is not None or shape is None or _fills_all(plan, variant):
        return Tenant(needs=whole, alone=whole)
    parallel = plan.limits_of(variant.name).tuning.tensor_parallel or 1
    size = bytes_on_gpu(shape, variant, demand, published) // parallel
    needed = Need(kind="GPU", size_bytes=size)
    return Tenant(needs=needed, alone=whole if tuned else needed, takes_share=tuned)


def _fills_all(plan: Plan, variant: Variant) -> bool:
    """Whether it takes what is free of a GPU, and cannot be told a share."""
    unsized = plan.limits_of(variant.name).kv_cache_gib is None
    return variant.engine.fills_gpu and unsized and "memory_share" not in variant.engine.tunes


def _demand(plan: Plan, variant: Variant) -> Demand:
    """The load that is planned, as far as the variant takes it at once."""
    limits, load = plan.limits_of(variant.name), plan.load
    return Demand(
        context=plan.serving.context_length,
        tokens=load.longest_request or plan.serving.context_length,
        sequences=limits.max_sequences,
        cache_gib=limits.kv_cache_gib,
    )
