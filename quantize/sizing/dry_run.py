"""``--dry-run``: what would be made or reused, how long, how large, and whether there is room."""

from collections.abc import Callable

from quantize.model_source import examined
from quantize.order import Order, check_order, missing_items, plan_items, reusable
from quantize.sizing.estimate import Estimate, check_room, estimate, free_bytes, needed_bytes


def dry_run(order: Order, say: Callable[[str], None]) -> None:
    """Say what an order would do, and write nothing.

    Raises:
        ValueError: what would refuse the order itself, too little room on the disk included.
        ToolError: an environment is missing.
    """
    items = plan_items(order)
    missing = missing_items(items)
    costs: dict[str, Estimate] = {}
    notes: tuple[str, ...] = ()
    if missing:
        with examined(order.model, order.artifacts) as source:
            check_order(order, missing, source)
            costs = {cost.recipe: cost for cost in estimate(order, missing, source)}
            notes = source.record.notes
    width = max(len(item.recipe.name) for item in items)
    for item in items:
        name = item.recipe.name.ljust(width)
        cost = costs.get(item.recipe.name)
        if cost is None:
            made = reusable(item)
            size = f"{made.size_bytes / 1e6:10,.1f} MB" if made else ""
            say(f"{name}  reuse  {size}")
        else:
            say(
                f"{name}  make   {cost.size_bytes / 1e6:10,.1f} MB  {_duration(cost.seconds):>8}  "
                f"({cost.basis})"
            )
    for note in notes:
        say(f"the model: {note}")
    seconds = sum(cost.seconds for cost in costs.values())
    estimates = list(costs.values())
    say(
        f"{len(costs)} to make, {len(items) - len(costs)} reused: about {_duration(seconds)}; "
        f"{needed_bytes(estimates) / 1e9:.2f} GB needed with intermediate files, "
        f"{free_bytes(order.artifacts) / 1e9:.2f} GB free"
    )
    check_room(estimates, order.artifacts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
