"""The artifacts that a benchmark needs; one that cannot be made leaves out its own cells alone."""

from deploy.make_artifacts import failures
from quantize.order import Order
from tests.benches.harness.bench_run import BenchRun


def make_or_void(order: Order, run: BenchRun) -> list[str]:
    """Make or reuse what is ordered; returns the recipes that have an artifact now.

    What cannot be made is void.
    """
    failed = dict(failures(order, run.say))
    for name, reason in failed.items():
        run.leave_out(f"{name}: artifact", reason)
    return [name for name in order.recipe_names if name not in failed]
