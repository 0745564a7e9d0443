"""The few options every stage's command shares, and how a user's mistake ends: one clear line."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from deploy.api_keys import provide_client_key
from deploy.artifacts import StageError
from deploy.plan import DEFAULT_PLAN, Plan, load_plan
from deploy.setup.environments import SetupError
from quantize.jobs.lifeline import follow_owner, terminate_as_interrupt


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """``--plan``, ``--model`` and ``--variants``; empty values count as not given."""
    parser.add_argument("--plan", default=DEFAULT_PLAN, help="a plan's file or bundled name")
    parser.add_argument("--model", help="a folder or Hugging Face id instead of the plan's model")
    parser.add_argument("--variants", help="only these variants, separated by commas")


def plan_of(arguments: argparse.Namespace) -> Plan:
    """The plan the options name; from here on this command has a key to send, where there is one.

    Raises:
        PlanError: with the file, the key path and the remedy.
        ApiKeyError: its endpoints need keys and have none, or they cannot be used.
    """
    plan = load_plan(
        arguments.plan or DEFAULT_PLAN, model=arguments.model, variants=arguments.variants
    )
    provide_client_key(plan.serving)
    return plan


def plan_arguments(arguments: argparse.Namespace, plan: Plan) -> list[str]:
    """The same options again with the variants of ``plan``, for a command we start."""
    given = {
        "--plan": arguments.plan,
        "--model": arguments.model,
        "--variants": ",".join(plan.variants),
    }
    return [word for key, value in given.items() if value for word in (key, value)]


def run_command(name: str, command: Callable[[], None]) -> NoReturn:
    """Run a command and exit: 0, 2 for what the user can mend, 1 for what broke, 130 stopped."""
    terminate_as_interrupt()
    follow_owner()
    try:
        command()
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)
    except StageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.code)
    except (ValueError, SetupError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except (RuntimeError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
