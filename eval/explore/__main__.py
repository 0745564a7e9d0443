"""``python -m eval.explore``: measure and draw what every number format keeps of a model.

The page's path goes to stdout; progress and errors to stderr. Exits with 2 where the user can mend
it, with 1 where a tool failed.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from eval.explore.run import ExploreOrder, explore
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.jobs.failure import RefusedError, ToolError
from quantize.jobs.workbench import explain_os_error
from quantize.source.source_model import REFERENCE, fingerprint


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eval.explore", description=__doc__)
    parser.add_argument("--model", default=REFERENCE, help="reference, a folder, or owner/name")
    parser.add_argument("--output", type=Path, help="a folder; beside the artifacts by default")
    parser.add_argument("--calibration-text", default=BUNDLED, help="bundled, or a JSONL file")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--threads", type=_positive, default=2)
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def _order(arguments: argparse.Namespace) -> ExploreOrder:
    # The explorer takes as much of the text as it needs; the sizes asked here decide nothing.
    calibration = calibration_plan(arguments.calibration_text, samples=1, sequence_length=1)
    return ExploreOrder(
        model=fingerprint(arguments.model),
        calibration=calibration.path,
        artifacts=arguments.artifacts,
        output=arguments.output,
        threads=arguments.threads,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Run the command; returns the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        explore(_order(arguments), _say)
    except ToolError as error:
        print(f"explore: {error}", file=sys.stderr)
        return 2 if isinstance(error, RefusedError) else 1
    except ValueError as error:
        print(f"explore: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"explore: {explain_os_error(error, arguments.artifacts)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("explore: stopped; nothing unfinished was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
