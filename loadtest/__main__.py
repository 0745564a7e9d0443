"""``python -m loadtest [--plan PLAN]``: load every endpoint of a plan."""

import argparse

from deploy.command_line import add_plan_options, plan_of, run_command
from loadtest.locust_process import LoadTestError
from loadtest.measure import run_load_test
from loadtest.run_directory import run_directory
from quantize.jobs.lock import hold


def _say(line: str) -> None:
    print(line, flush=True)


def _load(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    with hold(run_directory(plan), "make loadtest"):
        failures = run_load_test(plan, say=_say)
    if failures:
        raise LoadTestError(f"{', '.join(failures)} failed; the others' figures are kept")


def main() -> None:
    """Parse the command line and run the load test."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    add_plan_options(parser)
    arguments = parser.parse_args()
    run_command("loadtest", lambda: _load(arguments))


if __name__ == "__main__":
    main()
