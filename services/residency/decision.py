"""Who may be awake where not all fit, decided from what is known. Pure: no clock, no process.

The variant that has been waited for longest comes first, and no other before it, so that none is
passed over for ever. Those that are awake make room for it in the order in which they were used
last, as few as it takes; when each really leaves is ``leaves_at_s``. One wakes at a time: engines
that measure what is free while another still loads come up with the wrong size, without an error.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# Bytes by the name of the memory that they are of.
Memory = Mapping[str, int]


class Phase(enum.StrEnum):
    """What a variant holds: nothing; what it takes while it starts; its memory; that, not for long.

    One that is ``LEAVING`` takes no more requests and finishes those that are open.
    """

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    LEAVING = "leaving"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a variant stands. ``needs`` is what it holds when it is not asleep.

    ``wanted_since_s`` is when somebody began to wait for it (None: nobody does), ``used_at_s`` when
    it last had a request.
    """

    needs: Memory
    phase: Phase
    wanted_since_s: float | None = None
    used_at_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who is to wake now, and who is to make room."""

    wake: str | None = None
    leave: frozenset[str] = frozenset()


NOTHING = Decision()


def decide(standings: Mapping[str, Standing], room: Memory) -> Decision:
    """What is to be done next, of variants in the plan's order and the ``room`` for all of them."""
    first = _first_wanted(standings)
    if first is None:
        return NOTHING
    needs = standings[first].needs
    held = {name: it for name, it in standings.items() if it.phase is not Phase.ASLEEP}
    waking = any(it.phase is Phase.WAKING for it in held.values())
    if _fits(needs, room, held.values()):
        return NOTHING if waking else Decision(wake=first)
    staying = {name: it for name, it in held.items() if it.phase is not Phase.LEAVING}
    leave: set[str] = set()
    for name in sorted(_awake(staying), key=lambda name: staying[name].used_at_s):
        if _fits(needs, room, [it for other, it in staying.items() if other not in leave]):
            break
        leave.add(name)
    left = [it for name, it in staying.items() if name not in leave]
    # What only one that still wakes could make room for has to wait until it has.
    return Decision(leave=frozenset(leave)) if _fits(needs, room, left) else NOTHING


def _first_wanted(standings: Mapping[str, Standing]) -> str | None:
    wanted = {
        name: it.wanted_since_s
        for name, it in standings.items()
        if it.phase is Phase.ASLEEP and it.wanted_since_s is not None
    }
    return min(wanted, key=wanted.__getitem__) if wanted else None


def _awake(standings: Mapping[str, Standing]) -> list[str]:
    return [name for name, it in standings.items() if it.phase is Phase.AWAKE]


def _fits(needs: Memory, room: Memory, held: Collection[Standing]) -> bool:
    """Whether there is room beside what is held; alone there always is: nothing could make more."""
    taken = {kind: sum(it.needs.get(kind, 0) for it in held) for kind in needs}
    return not held or all(
        taken[kind] + amount <= room.get(kind, 0) or not taken[kind]
        for kind, amount in needs.items()
    )


def leaves_at_s(
    *, awake_since_s: float, idle_since_s: float | None, stay_s: float, linger_s: float
) -> float:
    """When a variant that is to make room takes no more requests.

    After ``stay_s``, in which whoever waited for it is served and more: else two models that are
    asked in turns would spend all time on waking. One without open requests since ``idle_since_s``
    (None: it has some) need not stay so long, but for ``linger_s``: a client may be between two.
    """
    at_last_s = awake_since_s + stay_s
    if idle_since_s is None:
        return at_last_s
    return min(at_last_s, max(awake_since_s, idle_since_s) + linger_s)
