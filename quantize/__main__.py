"""``python -m quantize``: make one model's artifacts, or say what it needs.

Results go to stdout, one line per artifact; progress and errors to stderr. Exits with 2 where the
user can mend it, with 1 where a tool failed.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.jobs.failure import RefusedError, ToolError
from quantize.jobs.workbench import explain_os_error
from quantize.make import make_artifacts
from quantize.method import RecipeError
from quantize.order import Order
from quantize.recipes.catalogue import RECIPES
from quantize.sizing.capacity_table import capacity_report
from quantize.sizing.dry_run import dry_run
from quantize.source.source_model import REFERENCE, fingerprint


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m quantize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make the artifacts of one model")
    make.add_argument("--model", default=REFERENCE, help="reference, a folder, or owner/name")
    make.add_argument("--recipes", default=",".join(RECIPES), help="names, separated by commas")
    make.add_argument("--calibration-text", default=BUNDLED, help="bundled, or a JSONL file")
    make.add_argument("--samples", type=int, default=64)
    make.add_argument("--sequence-length", type=int, default=512)
    make.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    make.add_argument("--threads", type=int, default=2)
    make.add_argument("--dry-run", action="store_true", help="say what would be made; make nothing")
    capacity = commands.add_parser("capacity", help="what a model needs in memory, and what fits")
    capacity.add_argument(
        "--model", default=REFERENCE, help="a folder, a config.json, owner/name, or reference"
    )
    capacity.add_argument("--memory", help="one device of this size, such as 128GiB or 80GB")
    capacity.add_argument(
        "--context",
        type=_positive,
        help="tokens per sequence; 2048 by default, fewer where the model ends before",
    )
    capacity.add_argument("--concurrency", type=_positive, default=16, help="sequences at once")
    capacity.add_argument("--recipes", default=",".join(RECIPES), help="separated by commas")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError(f"no recipe is named (valid: {', '.join(RECIPES)})")
    return names


def _order(arguments: argparse.Namespace) -> Order:
    return Order(
        recipe_names=tuple(_names(arguments.recipes)),
        model=fingerprint(arguments.model),
        calibration=calibration_plan(
            arguments.calibration_text, arguments.samples, arguments.sequence_length
        ),
        artifacts=arguments.artifacts,
        threads=max(1, arguments.threads),
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.command == "capacity":
        _say(
            capacity_report(
                arguments.model,
                memory=arguments.memory,
                context=arguments.context,
                concurrency=arguments.concurrency,
                recipes=_names(arguments.recipes),
            )
        )
    elif arguments.dry_run:
        dry_run(_order(arguments), _say)
    else:
        make_artifacts(_order(arguments), _say)


def main() -> int:
    """Run the command; returns the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(arguments)
    except (ToolError, RecipeError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2 if isinstance(error, RefusedError) else 1
    except ValueError as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        folder = getattr(arguments, "artifacts", Path())
        print(f"quantize: {explain_os_error(error, folder)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("quantize: stopped; nothing unfinished was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
