"""``python -m quantize make``: make one model's artifacts, as ``assay quantize`` has it done.

Results go to stdout, one line per artifact; progress and errors to stderr. Exits with 2 where the
user can mend it, with 1 where a tool failed.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from quantize.agreement.expectations import score_artifacts
from quantize.calibration.calibration_set import calibration_plan
from quantize.calibration.default_text import default_text
from quantize.jobs.failure import RefusedError, ToolError
from quantize.jobs.workbench import explain_os_error
from quantize.make import make_artifacts
from quantize.method import RecipeError
from quantize.order import Order
from quantize.recipes.catalogue import RECIPES
from quantize.sizing.dry_run import dry_run
from quantize.source.source_model import REFERENCE, fingerprint


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m quantize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make the artifacts of one model")
    make.add_argument("--model", default=REFERENCE, help="reference, a folder, or owner/name")
    make.add_argument("--recipes", default=",".join(RECIPES), help="names, separated by commas")
    make.add_argument(
        "--calibration-text", help="bundled, general, or a file; by the model without"
    )
    make.add_argument("--samples", type=int, default=64)
    make.add_argument("--sequence-length", type=int, default=512)
    make.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    make.add_argument("--threads", type=int, default=2)
    make.add_argument(
        "--context-length", type=int, help="score what engines of such a context are held against"
    )
    make.add_argument("--dry-run", action="store_true", help="say what would be made; make nothing")
    return parser.parse_args()


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
            arguments.calibration_text or default_text(arguments.model),
            arguments.samples,
            arguments.sequence_length,
        ),
        artifacts=arguments.artifacts,
        threads=max(1, arguments.threads),
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


def _carry_out(arguments: argparse.Namespace, order: Order) -> None:
    if arguments.dry_run:
        dry_run(order, _say)
        return
    make_artifacts(order, _say)
    if arguments.context_length is not None:
        score_artifacts(order, arguments.context_length, _say)


def main() -> int:
    """Run the command; returns the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _carry_out(arguments, _order(arguments))
    except (ToolError, RecipeError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2 if isinstance(error, RefusedError) else 1
    except ValueError as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"quantize: {explain_os_error(error, arguments.artifacts)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("quantize: stopped; nothing unfinished was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
