"""Whether variants are awake together or in turns, and what each may take. Pure.

Together, each engine on a GPU that can be told how much to take gets the share that it needs. In
turns it has its own share, or the whole, whenever it is awake; as many are as there is room for.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from deploy.residency.needs import Kind, Need
from quantize.sizing.capacity import GIB

Wish = Literal["auto", "together", "turns"]
Mode = Literal["together", "turns"]
# A share is told to an engine in thousandths, rounded up.
_STEPS = 1000


class NoRoomError(ValueError):
    """A plan wants its variants awake together where there is no room; says what to do."""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One variant: what it ``needs`` at least, and what it takes where it has its memory alone.

    ``takes_share``: its engine is told which part of its GPU's memory it may take, and the plan
    does not say it for this variant.
    """

    needs: Need
    alone: Need
    takes_share: bool = False


@dataclass(frozen=True, kw_only=True)
class Room:
    """What variants may take of a memory together, of all that there is, in bytes."""

    usable_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class Residency:
    """How a plan's variants are served, and why. ``needs`` are theirs while they are awake."""

    mode: Mode
    why: str
    needs: Mapping[str, Need]
    room: Mapping[Kind, Room]
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def one_by_one(self) -> bool:
        """Whether engines must not be started at once: on a GPU each measures what is free."""
        return self.mode == "turns" or any(need.kind == "GPU" for need in self.needs.values())

    def lines(self) -> Iterator[str]:
        """What is told before anything starts."""
        waits = "; a request for one that sleeps waits until others have made room"
        yield f"residency: {self.mode}: {self.why}{waits if self.mode == 'turns' else ''}"
        width = max(map(len, self.needs))
        for name, need in self.needs.items():
            note = f", {self.shares[name]:.1%} of it" if name in self.shares else ""
            if self.mode == "turns" and need.size_bytes > self.room[need.kind].usable_bytes:
                note = ", more than may be taken: it is awake alone"
            of = "the GPU's memory" if need.kind == "GPU" else "this machine's memory"
            yield f"  {name:<{width}}  {need.size_bytes / GIB:5.1f} GiB of {of}{note}"


def decide_residency(
    wish: Wish, tenants: Mapping[str, Tenant], room: Mapping[Kind, Room]
) -> Residency:
    """How variants are served that a plan wants served so.

    Raises:
        NoRoomError: together on a GPU, and they do not fit.
    """
    needs = {name: tenant.needs for name, tenant in tenants.items()}
    short = [kind for kind in room if _sum(needs, kind) > room[kind].usable_bytes]
    told = "; ".join(_balance(needs, kind, room[kind]) for kind in room if _sum(needs, kind))
    if wish == "turns" or (wish == "auto" and short):
        why = f"as the plan says (serving.residency); {told}" if wish == "turns" else told
        alone = {name: tenant.alone for name, tenant in tenants.items()}
        return Residency(mode="turns", why=why, needs=alone, room=room)
    if "GPU" in short:
        raise NoRoomError(
            f"serving.residency: together, but {told}: take fewer variants, lower "
            "serving.context_length, max_sequences or kv_cache_gib, or let them take turns "
            "(residency: turns)"
        )
    return Residency(
        mode="together", why=told, needs=needs, room=room, shares=_shares(tenants, room)
    )


def _balance(needs: Mapping[str, Need], kind: Kind, room: Room) -> str:
    whose = "the GPU's" if kind == "GPU" else "this machine's"
    count = sum(need.kind == kind for need in needs.values())
    return (
        f"{count} variants need {_sum(needs, kind) / GIB:.1f} GiB of {whose} memory, of which "
        f"{room.usable_bytes / GIB:.1f} GiB may be taken"
    )


def _sum(needs: Mapping[str, Need], kind: Kind) -> int:
    return sum(need.size_bytes for need in needs.values() if need.kind == kind)


def _shares(tenants: Mapping[str, Tenant], room: Mapping[Kind, Room]) -> dict[str, float]:
    """Of a GPU's whole memory, what each engine is told to take: 0 to 1."""
    return {
        name: math.ceil(it.needs.size_bytes / room["GPU"].total_bytes * _STEPS) / _STEPS
        for name, it in tenants.items()
        if it.takes_share and it.needs.kind == "GPU"
    }
