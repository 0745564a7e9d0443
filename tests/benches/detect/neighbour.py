"""A neighbour that comes and goes: ``python -m tests.benches.detect.neighbour SEED``.

It keeps one processor busy for some seconds, leaves it alone for some, and so on until it is
killed; how long, a seed decides.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from quantize.jobs.lifeline import end, guarded
from quantize.root import ROOT

LEAST_S, MOST_S = 1.0, 8.0


def come_and_go(seed: int) -> None:
    """Work and rest, for ever."""
    draw = random.Random(seed)
    while True:
        until = time.monotonic() + draw.uniform(LEAST_S, MOST_S)
        while time.monotonic() < until:
            pass
        time.sleep(draw.uniform(LEAST_S, MOST_S))


@contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """Such a neighbour while the block runs."""
    words = [sys.executable, "-m", "tests.benches.detect.neighbour", str(seed)]
    process = subprocess.Popen(guarded(words), cwd=ROOT, start_new_session=True)
    try:
        yield
    finally:
        end(process)


if __name__ == "__main__":
    come_and_go(int(sys.argv[1]))
