"""``python -m eval compare|quality|report``: the whole comparison, or its last stages."""

import argparse

from deploy.command_line import add_plan_options, plan_arguments, plan_of, run_command
from deploy.machine_check import check_machine, weight_only_note
from eval.lm_eval_process import QualityError
from eval.pipeline import compare, make_report
from eval.quality import run_quality
from loadtest.run_directory import open_run, run_directory
from quantize.jobs.lock import hold

COMMANDS = {
    "compare": "quantize, serve, load-test, question, report",
    "quality": "question what is served",
    "report": "comparison, verdict and report from what was measured",
}


def _say(line: str) -> None:
    print(line, flush=True)


def _compare(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    check_machine(plan)
    if note := weight_only_note(plan):
        _say(note)
    compare(plan, lambda plan: plan_arguments(arguments, plan), _say)


def _quality(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    with hold(run_directory(plan), "make eval"):
        answered = run_quality(plan, open_run(plan), tell=_say)
    if missing := [name for name in plan.variants if name not in answered]:
        raise QualityError(f"{', '.join(missing)} failed; the others' answers are kept")


def _report(arguments: argparse.Namespace) -> None:
    plan = plan_of(arguments)
    with hold(run_directory(plan), "make report"):
        text, path = make_report(plan, open_run(plan))
    _say(f"{text}\nreport: {path}")


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        add_plan_options(commands.add_parser(name, help=summary))
    arguments = parser.parse_args()
    action = {"compare": _compare, "quality": _quality, "report": _report}
    run_command("eval", lambda: action[arguments.command](arguments))


if __name__ == "__main__":
    main()
