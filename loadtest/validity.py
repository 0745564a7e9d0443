"""Whether what was measured may enter a verdict: the stamp of a leg, of a round, of a load test.

Pure. A disturbed leg is measured once more (``legs.py``). One that stays so is left out where its
load point has enough others, and else voids the speeds of its variant: a wrong figure with a
narrow interval is worse than none. Left out is only what neighbours disturbed, as they come and go
whatever is measured; a client at its limit or an engine that was restarted tells of the variant.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from loadtest.job import LevelEnd

CLIENT = "the load generator itself was the limit"
LATE = "requests were sent later than they were due"
# Of the latest percent of requests; they still count from when they were due.
SEND_LAG_LIMIT_S = 0.02
# At most so much of a load point's rounds is left out, and so many stay at least.
LEFT_OUT_SHARE, LEAST_KEPT = 1 / 3, 2

Round = TypeVar("Round")


def why_void(level: LevelEnd, neighbour_limit: float) -> str | None:
    """Why the figures of one leg cannot be trusted; None: nothing is known against them.

    ``neighbour_limit`` is the share of the processors that other programs may use, 0 to 1.
    """
    if level.client.saturated:
        return CLIENT
    if level.restarts:
        return "the engine was restarted"
    if (level.send_lag_p99_s or 0) > SEND_LAG_LIMIT_S:
        return LATE
    if _has_neighbours(level, neighbour_limit):
        return f"other programs used {100 * (level.neighbour_share or 0):.0f} % of the processors"
    return None


def _has_neighbours(level: LevelEnd, neighbour_limit: float) -> bool:
    return (level.neighbour_share or 0) > neighbour_limit


def undisturbed(rounds: Mapping[Round, LevelEnd], neighbour_limit: float) -> list[Round]:
    """Which rounds of one load point count: those without neighbours, if they are enough; else all.

    Rounds with too many neighbours are left out while they are at most ``LEFT_OUT_SHARE`` of all
    and ``LEAST_KEPT`` stay; where they are more, leaving them out would hide what the machine is.
    """
    quiet = [key for key, it in rounds.items() if not _has_neighbours(it, neighbour_limit)]
    most = LEFT_OUT_SHARE * len(rounds)
    enough = len(quiet) >= LEAST_KEPT and len(rounds) - len(quiet) <= most
    return quiet if enough else list(rounds)


def left_out_words(left_out: Sequence[LevelEnd], legs: int, neighbour_limit: float) -> str:
    """What the reader is told of the legs that do not count; empty where all ``legs`` do."""
    if not left_out:
        return ""
    most = max(it.neighbour_share or 0 for it in left_out)
    return (
        f"{len(left_out)} of {legs} legs do not count: other programs used up to "
        f"{100 * most:.0f} % of the processors ({100 * neighbour_limit:g} % are allowed)"
    )


def void_reasons(levels: Sequence[LevelEnd], neighbour_limit: float) -> list[str]:
    """The same of many legs, what happened several times told once, but for the client's own limit.

    That one has a place of its own in the files (``saturated``).
    """
    told = []
    busy = [it for it in levels if _has_neighbours(it, neighbour_limit)]
    if busy:
        most = max(it.neighbour_share or 0 for it in busy)
        told.append(
            f"other programs used up to {100 * most:.0f} % of the processors in {len(busy)} of "
            f"{len(levels)} legs ({100 * neighbour_limit:g} % are allowed)"
        )
    late = sum((it.send_lag_p99_s or 0) > SEND_LAG_LIMIT_S for it in levels)
    if late:
        told.append(f"{LATE} in {late} of {len(levels)} legs: the rate asked for was not kept")
    restarted = sum(it.restarts > 0 for it in levels)
    if restarted:
        told.append(f"the engine was restarted during {restarted} of {len(levels)} legs")
    return told
