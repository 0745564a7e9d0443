"""The artifacts that a benchmark needs; one that cannot be made leaves out its own cells alone."""

from dataclasses import replace

from quantize.make import make_artifacts
from quantize.order import Order
from tests.benches.harness.bench_run import UNMEASURED, BenchRun


def make_what_can_be(order: Order, run: BenchRun) -> list[str]:
    """Make or reuse what is ordered; returns the recipes that have an artifact now.

    All are made together, as they share a tool's process. Only when that fails each is tried
    alone, and what fails again is void.
    """
    try:
        make_artifacts(order, run.say)
    except UNMEASURED as error:
        run.say(f"{error}; trying each recipe by itself")
    else:
        return list(order.recipe_names)
    made = []
    for name in order.recipe_names:
        with run.cell(f"{name}: artifact"):
            make_artifacts(replace(order, recipe_names=(name,)), run.say)
            made.append(name)
    return made
