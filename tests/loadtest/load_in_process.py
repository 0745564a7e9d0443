"""Runs a load test as a process that a test can kill: ``PLAN_FILE RESULTS_DIRECTORY``."""

import sys
from pathlib import Path

from deploy.plan import load_plan
from loadtest.measure import load_test
from quantize.jobs.lifeline import terminate_as_interrupt
from tests.loadtest.examples import some_prompts

if __name__ == "__main__":
    terminate_as_interrupt()
    failures = load_test(
        load_plan(sys.argv[1]),
        some_prompts(),
        say=lambda line: print(line, flush=True),
        results=Path(sys.argv[2]),
    )
    sys.exit(1 if failures else 0)
