"""Whether what was measured may enter a verdict: the stamp of a leg, of a round, of a load test.

Pure. A disturbed leg is measured once more (``legs.py``); one that stays so voids the speeds of
its variant: a wrong figure with a narrow interval is worse than none.
"""

from collections.abc import Sequence

from loadtest.job import LevelEnd

CLIENT = "the load generator itself was the limit"
LATE = "requests were sent later than they were due"
# Of the latest percent of requests; they still count from when they were due.
SEND_LAG_LIMIT_S = 0.02


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
    share = level.neighbour_share
    if share is not None and share > neighbour_limit:
        return f"other programs used {100 * share:.0f} % of the processors"
    return None


def void_reasons(levels: Sequence[LevelEnd], neighbour_limit: float) -> list[str]:
    """The same of many legs, what happened several times told once, but for the client's own limit.

    That one has a place of its own in the files (``saturated``).
    """
    told = []
    busy = [it for it in levels if (it.neighbour_share or 0) > neighbour_limit]
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
