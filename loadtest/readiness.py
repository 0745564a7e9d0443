"""Which variants of a plan can be measured now, and why the others cannot."""

from collections.abc import Callable
from pathlib import Path

from deploy.plan import Plan
from loadtest.endpoint import EndpointError, ReadyHealth, read_health
from loadtest.failures import Stage, forget_failures


def ready_healths(
    plan: Plan, run: Path, url: str, stage: Stage, fail: Callable[[str, str], None]
) -> dict[str, ReadyHealth]:
    """What the health routes of a stage's variants say, the baseline's first.

    ``fail`` gets each variant that is not ready, with the reason; one that is has no failure of
    this stage, or of those before it, any more.

    Raises:
        EndpointError: the baseline does not answer or is not ready.
    """
    found: dict[str, ReadyHealth] = {}
    for name in sorted(plan.variants, key=lambda name: name != plan.baseline):
        try:
            found[name] = read_health(url, name)
        except EndpointError as error:
            if name == plan.baseline:
                raise
            fail(name, str(error))
        else:
            # It is served, so whatever kept it from being served is past.
            forget_failures(run, [name], "quantize", "deploy", stage)
    return found
