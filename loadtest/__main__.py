"""``python -m loadtest [--plan PLAN]``: load every endpoint of a plan.

``python -m loadtest calibrate``: measure what the load generator itself adds.
"""

import argparse

from deploy.command_line import add_plan_options, plan_of, run_command
from deploy.lock import hold
from loadtest.locust_process import LoadTestError
from loadtest.measure import run_load_test
from loadtest.run_directory import run_directory
from tests.benches.client.calibrate import FIGURES, calibrate
from tests.benches.harness.bench_figures import write_figures


def _say(line: str) -> None:
    print(line, flush=True)


def _load(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    with hold(run_directory(plan), "make loadtest"):
        failures = run_load_test(plan, say=_say)
    if failures:
        raise LoadTestError(f"{', '.join(failures)} failed; the others' figures are kept")


def _calibrate(_: argparse.Namespace) -> None:
    figures = calibrate(_say)
    write_figures(FIGURES, figures)
    _say(f"written to {FIGURES}")
    missed = [figure.name for figure in figures if not figure.met]
    if missed:
        raise LoadTestError(f"limits not met: {', '.join(missed)}")


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.set_defaults(action=_load)
    add_plan_options(parser)
    commands = parser.add_subparsers()
    commands.add_parser("calibrate", help="measure what the load generator adds").set_defaults(
        action=_calibrate
    )
    arguments = parser.parse_args()
    run_command("loadtest", lambda: arguments.action(arguments))


if __name__ == "__main__":
    main()
