"""``python -m quantize make``: make the artifacts of one model.

Results go to stdout, one line per artifact; progress and errors to stderr. Exits with 2 where the
user can mend it, with 1 where a tool failed.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from quantize.calibration import BUNDLED, calibration_plan
from quantize.make import Order, make_artifacts
from quantize.method import RecipeError
from quantize.recipes import RECIPES
from quantize.source_model import REFERENCE, fingerprint
from quantize.tool_process import ToolError
from quantize.workbench import explain_os_error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m quantize", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make the artifacts of one model")
    make.add_argument("--model", default=REFERENCE, help="reference, a folder, or owner/name")
    make.add_argument("--recipes", default=",".join(RECIPES), help="names, separated by commas")
    make.add_argument("--calibration-text", default=BUNDLED, help="bundled, or a JSONL file")
    make.add_argument("--samples", type=int, default=128)
    make.add_argument("--sequence-length", type=int, default=512)
    make.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    make.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _order(arguments: argparse.Namespace) -> Order:
    names = tuple(name.strip() for name in arguments.recipes.split(",") if name.strip())
    if not names:
        raise ValueError(f"no recipe is named (valid: {', '.join(RECIPES)})")
    return Order(
        model=fingerprint(arguments.model),
        recipe_names=names,
        calibration=calibration_plan(
            arguments.calibration_text, arguments.samples, arguments.sequence_length
        ),
        artifacts=arguments.artifacts,
        threads=max(1, arguments.threads),
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the command; returns the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        make_artifacts(_order(arguments), lambda line: print(line, flush=True))
    except (ToolError, RecipeError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 1
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
