"""``python -m loadtest --plan PLAN``: load every endpoint of a plan.

``python -m loadtest calibrate``: measure what the load generator itself adds.
"""

import argparse
import sys
from collections.abc import Sequence

from deploy.lifeline import follow_owner, terminate_as_interrupt
from deploy.plan import DEFAULT_PLAN, PlanError, load_plan
from loadtest.calibrate import FIGURES, calibrate
from loadtest.endpoint import EndpointError
from loadtest.locust_process import LoadTestError
from loadtest.measure import load_test
from loadtest.prompts import PromptError, make_prompts
from quantize.bench_figures import write_figures
from quantize.calibration import CalibrationError, calibration_plan, read_texts
from quantize.source_model import SourceModelError, resolve_model

_MISTAKES = (PlanError, EndpointError, PromptError, SourceModelError, CalibrationError)


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.set_defaults(action=_load)
    parser.add_argument("--plan", default=DEFAULT_PLAN, help="a plan's name or file")
    parser.add_argument("--model", help="replaces the plan's model")
    parser.add_argument("--variants", help="comma-separated names, replaces the plan's variants")
    commands = parser.add_subparsers()
    commands.add_parser("calibrate", help="measure what the load generator adds").set_defaults(
        action=_calibrate
    )
    return parser.parse_args(argv)


def _load(arguments: argparse.Namespace) -> int:
    plan = load_plan(arguments.plan, model=arguments.model, variants=arguments.variants)
    text = plan.calibration
    texts = read_texts(calibration_plan(text.text, text.samples, text.sequence_length).path)
    prompts = make_prompts(resolve_model(plan.model), texts, seed=plan.load.seed)
    failures = load_test(plan, prompts, say=_say)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _calibrate(_: argparse.Namespace) -> int:
    figures = calibrate(_say)
    write_figures(FIGURES, figures, ["locust"])
    print(f"written to {FIGURES}")
    return 0 if all(figure.met for figure in figures) else 1


def main(argv: Sequence[str]) -> int:
    """Run one command; exit code 2 is a user's mistake, 1 a failed load test, 130 a stop."""
    follow_owner()
    terminate_as_interrupt()
    arguments = _arguments(argv)
    try:
        code: int = arguments.action(arguments)
    except _MISTAKES as error:
        print(error, file=sys.stderr)
        return 2
    except LoadTestError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; finished rounds are kept", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
