"""``python -m deploy.ray_cluster.host``: the service's process, which ``up`` starts."""

import argparse

from deploy.command_end import run_command
from deploy.plan import Plan
from deploy.plan_choice import PlanChoice
from deploy.ray_cluster.cluster import host
from deploy.up import new_record


def serve_plan(plan: Plan, ray_address: str | None) -> None:
    """Serve until SIGTERM or Ctrl-C; the service's record names this process."""
    host(new_record(plan, ray_address), plan)


def main() -> None:
    """Serve what the options choose (``PlanChoice.words``)."""
    parser = argparse.ArgumentParser(prog="python -m deploy.ray_cluster.host", description=__doc__)
    for option in ("--plan", "--model", "--baseline", "--variants", "--only", "--ray-address"):
        parser.add_argument(option)
    given = parser.parse_args()
    choice = PlanChoice(
        plan=given.plan,
        model=given.model,
        variants=given.variants,
        only=given.only,
        baseline=given.baseline,
    )
    run_command("host", lambda: serve_plan(choice.load(), given.ray_address))


if __name__ == "__main__":
    main()
