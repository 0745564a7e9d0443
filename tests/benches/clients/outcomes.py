"""What became of one client at one base: requests that went well, and what went wrong. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benches.harness.bench_figures import Figure, at_least, at_most
from tests.benches.harness.bench_table import columns


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``refused`` are requests that the engine cannot do, and that were refused by name."""

    client: str
    variant: str
    base: str
    ok: int
    refused: int = 0
    failed: int = 0
    reason: str = ""


def outcomes_table(outcomes: Sequence[Outcome]) -> str:
    """One line per client and variant and base."""
    rows = [
        (
            outcome.client,
            outcome.variant,
            outcome.base,
            str(outcome.ok),
            str(outcome.refused or ""),
            str(outcome.failed),
            outcome.reason[:120],
        )
        for outcome in outcomes
    ]
    return columns(("client", "variant", "base", "ok", "refused", "failed", "reason"), rows)


def figures_of(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Nothing may fail, and every client must have asked something."""
    return [
        figure
        for outcome in outcomes
        for name in [f"{outcome.client} {outcome.variant} {outcome.base}"]
        for figure in (
            at_least(f"{name}: ok", outcome.ok, "requests", 1),
            at_most(f"{name}: failed", outcome.failed, "requests", 0),
        )
    ]
