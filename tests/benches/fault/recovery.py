"""What every fault is measured by: how open requests end, and when the victim serves again."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from tests.benches.fault.fault_clients import Client
from tests.benches.fault.outcomes import Outcome, counted
from tests.benches.fault.stage import FaultError, Stage
from tests.benches.harness.bench_figures import Figure, at_most

POLL_S = 0.05
RECOVERY_TIMEOUT_S = 120.0


@dataclass(kw_only=True)
class Recovery:
    """What a client saw that asked again and again from the fault until it was served."""

    recovered_s: float | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def refusals(self) -> list[Outcome]:
        """All answers but the last, good one."""
        return [outcome for outcome in self.outcomes if outcome.ending != "finished"]


async def recovery(stage: Stage, since_s: float) -> Recovery:
    """Ask the victim for a token until it answers; a refusal must come at once, too."""
    seen = Recovery()
    while time.monotonic() - since_s < RECOVERY_TIMEOUT_S:
        outcome = await stage.client().complete()
        seen.outcomes.append(outcome)
        if outcome.ending == "finished":
            seen.recovered_s = outcome.end_s - since_s
            break
        await asyncio.sleep(POLL_S)
    return seen


async def ready(stage: Stage, variant: str | None = None) -> dict[str, object]:
    """Wait until a variant is ready; returns its description.

    Raises:
        FaultError: it is not, in time.
    """
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    health: dict[str, object] = {}
    while time.monotonic() < deadline:
        health = await stage.health(variant)
        if health.get("state") == "ready":
            return health
        await asyncio.sleep(POLL_S)
    raise FaultError(f"{variant or stage.victim} is not ready again: {health}")


async def load_s(stage: Stage) -> float:
    """How long the victim's engine took from its start to ready, the last time."""
    return float(str((await ready(stage))["start_s"]))


async def begun(clients: Sequence[Client], count: int, timeout_s: float = 30) -> None:
    """Wait until so many streams have brought their first event."""
    deadline = time.monotonic() + timeout_s
    while sum(client.began.is_set() for client in clients) < count:
        if time.monotonic() > deadline:
            raise FaultError(f"fewer than {count} streams began within {timeout_s:.0f} s")
        await asyncio.sleep(0.01)


def strike(process: psutil.Process, number: signal.Signals) -> float:
    """Send a signal; returns when (s, monotonic)."""
    at_s = time.monotonic()
    os.kill(process.pid, number)
    return at_s


def ending_figures(
    fault: str, outcomes: Sequence[Outcome], *, broken_limit: float | None = 0
) -> list[Figure]:
    """How the requests ended that were open when the fault struck."""
    counts = counted(outcomes)
    limits = {"finished": None, "error": None, "broken": broken_limit, "hung": 0}
    return [
        at_most(f"{fault}: open requests {ending}", counts[ending], "count", limits[ending])
        for ending in counts
    ]


def recovery_figures(
    fault: str,
    seen: Recovery,
    limit_s: float,
    load: float | None = None,
    *,
    broken_limit: float | None = 0,
) -> list[Figure]:
    """When the victim answered again, and how it refused until then."""
    recovered_s = RECOVERY_TIMEOUT_S if seen.recovered_s is None else seen.recovered_s
    slowest_s = max((o.end_s - o.sent_s for o in seen.refusals), default=0.0)
    counts = counted(seen.refusals)
    return [
        at_most(f"{fault}: served again after", recovered_s, "s", limit_s, load),
        at_most(f"{fault}: refused meanwhile", len(seen.refusals), "count", None),
        at_most(f"{fault}: slowest refusal", slowest_s, "s", None),
        at_most(
            f"{fault}: refusals without an OpenAI error", counts["broken"], "count", broken_limit
        ),
        at_most(f"{fault}: refusals that hung", counts["hung"], "count", 0),
    ]
